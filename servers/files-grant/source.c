// SPDX-License-Identifier: GPL-3.0-or-later
/* The way from a node to the file outside: see source.h. */
#include "source.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define DEVICE_AGE 1000 /* ms for which the type of a file system is believed: numbers are used again */
#define PIECE 4000      /* bytes of a path that are looked up at once */

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif
#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570
#endif
#ifndef FUSE_CTL_SUPER_MAGIC
#define FUSE_CTL_SUPER_MAGIC 0x65735543
#endif
#ifndef RPC_PIPEFS_MAGIC
#define RPC_PIPEFS_MAGIC 0x67596969
#endif

int open_beneath(int directory, const char *path, int flags)
{
        struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
        for (int tries = 0;; tries++) {
                long fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
                if (fd >= 0)
                        return (int)fd;
                if (errno != EAGAIN || tries == 16) /* EAGAIN: something was renamed meanwhile */
                        return errno == ELOOP || errno == EXDEV || errno == EAGAIN ? -ESTALE : -errno;
        }
}

/* The same for a path of any length. `path` is written to. */
static int open_path(int top, char *path)
{
        cleanup_close int piece = -1;
        int at = top;
        size_t left = strlen(path);
        while (left > PIECE) {
                char *cut = memrchr(path, '/', PIECE);
                if (!cut)
                        return -ENAMETOOLONG;
                *cut = '\0';
                int fd = open_beneath(at, path, O_PATH | O_DIRECTORY);
                if (fd < 0)
                        return fd;
                if (piece >= 0)
                        close(piece);
                at = piece = fd;
                left -= (size_t)(cut + 1 - path);
                path = cut + 1;
        }
        return open_beneath(at, path, O_PATH);
}

const char *descriptor_name(char text[DESCRIPTOR_NAME], int fd)
{
        snprintf(text, DESCRIPTOR_NAME, "%d", fd);
        return text;
}

int reopen(const struct grant *g, int fd, int flags)
{
        char name[DESCRIPTOR_NAME];
        int again = openat(g->server->proc, descriptor_name(name, fd),
                           (flags & ~O_NOFOLLOW) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        return again < 0 ? -errno : again;
}

int stat_name(int directory, const char *name, struct statx *st)
{
        return statx(directory, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
                     STATX_BASIC_STATS | STATX_BTIME, st) < 0
                       ? -errno
                       : 0;
}

struct identity identity_of(const struct statx *st)
{
        return (struct identity){.dev = makedev(st->stx_dev_major, st->stx_dev_minor), .ino = st->stx_ino,
                                 .birth = st->stx_btime.tv_sec, .birth_ns = st->stx_btime.tv_nsec,
                                 .type = st->stx_mode & S_IFMT, .has_birth = st->stx_mask & STATX_BTIME};
}

struct stamp stamp_of(const struct statx *st)
{
        return (struct stamp){st->stx_mtime.tv_sec, st->stx_ctime.tv_sec, (int64_t)st->stx_size, st->stx_mtime.tv_nsec,
                              st->stx_ctime.tv_nsec};
}

bool stamp_same(const struct stamp *a, const struct stamp *b)
{
        return a->mtime == b->mtime && a->mtime_ns == b->mtime_ns && a->ctime == b->ctime &&
               a->ctime_ns == b->ctime_ns && a->size == b->size;
}

/* File systems in which the kernel answers for the process that looks: that would be the server. */
static bool is_kernels_own(long type)
{
        static const uint32_t own[] = {
                PROC_SUPER_MAGIC,  SYSFS_MAGIC,    DEVPTS_SUPER_MAGIC, CGROUP_SUPER_MAGIC,    CGROUP2_SUPER_MAGIC,
                DEBUGFS_MAGIC,     TRACEFS_MAGIC,  SECURITYFS_MAGIC,   PSTOREFS_MAGIC,        EFIVARFS_MAGIC,
                BPF_FS_MAGIC,      AUTOFS_SUPER_MAGIC, BINFMTFS_MAGIC, MQUEUE_MAGIC,          CONFIGFS_MAGIC,
                FUSE_CTL_SUPER_MAGIC, NSFS_MAGIC,  SELINUX_MAGIC,      SMACK_MAGIC,           RPC_PIPEFS_MAGIC,
        };
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
                if ((uint32_t)type == own[i])
                        return true;
        return false;
}

unsigned device_index(const struct grant *g, uint64_t dev)
{
        unsigned i;
        for (i = 0; i < g->device_count && g->devices[i].dev != dev; i++)
                ;
        return i;
}

/* 1: must be looked at. */
static int device_known(struct grant *g, uint64_t dev)
{
        pthread_mutex_lock(&g->lock);
        unsigned i = device_index(g, dev);
        int known = i == g->device_count || now_ms() - g->devices[i].checked > DEVICE_AGE ? 1
                    : g->devices[i].closed                                               ? -EACCES
                                                                                         : 0;
        pthread_mutex_unlock(&g->lock);
        return known;
}

int device_check(struct grant *g, uint64_t dev, int fd)
{
        int known = device_known(g, dev);
        struct statfs fs;
        if (known <= 0)
                return known;
        if (fstatfs(fd, &fs) < 0)
                return -errno;
        pthread_mutex_lock(&g->lock);
        unsigned i = device_index(g, dev);
        if (i == g->device_count && i < DEVICES) {
                g->devices = memory_grow(g->devices, i + 1, sizeof *g->devices);
                g->device_count++;
        }
        known = i == DEVICES || is_kernels_own((long)fs.f_type) ? -EACCES : 0;
        if (i < DEVICES)
                g->devices[i] = (struct device){dev, now_ms(), known < 0};
        pthread_mutex_unlock(&g->lock);
        return known;
}

int look_name(struct grant *g, int directory, const char *name, struct statx *st)
{
        int result = stat_name(directory, name, st);
        if (result < 0)
                return result;
        struct identity is = identity_of(st);
        result = device_known(g, is.dev);
        if (result <= 0)
                return result;
        cleanup_close int fd = open_beneath(directory, name, O_PATH);
        if (fd < 0)
                return fd;
        result = stat_name(fd, "", st);
        return result < 0 ? result : device_check(g, identity_of(st).dev, fd);
}

static void kept_put(struct kept *kept)
{
        if (--kept->refs == 0) {
                close(kept->fd);
                free(kept);
        }
}

/* Gives `fd` to those that stay open. Lock held. */
static struct kept *keep(struct grant *g, uint64_t id, int fd)
{
        struct kept *kept = memory_new(sizeof *kept), **slot = &g->kept[g->kept_next++ % KEPT_DIRECTORIES];
        *kept = (struct kept){id, fd, 2, now_ms()};
        if (*slot)
                kept_put(*slot);
        *slot = kept;
        return kept;
}

void kept_expire(struct grant *g, bool all)
{
        int64_t now = now_ms();
        pthread_mutex_lock(&g->lock);
        for (unsigned i = 0; i < KEPT_DIRECTORIES; i++)
                if (g->kept[i] && (all || now - g->kept[i]->opened > KEPT_SECONDS * 1000)) {
                        kept_put(g->kept[i]);
                        g->kept[i] = NULL;
                }
        pthread_mutex_unlock(&g->lock);
}

static struct kept *find_kept(struct grant *g, uint64_t id)
{
        int64_t now = now_ms();
        for (unsigned i = 0; i < KEPT_DIRECTORIES; i++)
                if (g->kept[i] && g->kept[i]->id == id && now - g->kept[i]->opened <= KEPT_SECONDS * 1000)
                        return g->kept[i];
        return NULL;
}

/* Opens what a path leads to and compares it. */
static int try_path(struct grant *g, char *path, const struct identity *is, struct target *t)
{
        cleanup_close int fd = open_path(g->source, path);
        if (fd < 0)
                return fd;
        int result = stat_name(fd, "", &t->st);
        struct identity there = identity_of(&t->st);
        if (result == 0 && !identity_same(&there, is))
                result = -ESTALE;
        if (result == 0)
                result = device_check(g, there.dev, fd);
        if (result < 0)
                return result;
        t->seen = t->own = true;
        t->fd = steal_fd(&fd);
        return 0;
}

int target_get(struct grant *g, uint64_t id, struct target *t)
{
        char *paths[NODE_LINKS] = {0};
        unsigned count = 0;
        t->fd = -1;
        t->handle = NULL;
        t->kept = NULL;
        t->own = t->seen = false;
        pthread_mutex_lock(&g->lock);
        struct node *node = node_find(&g->tree, id);
        struct identity is = node ? node->is : (struct identity){0};
        if (node && id == NODE_ROOT) {
                t->fd = g->source;
        } else if (node && node->handles) {
                t->handle = node->handles;
                t->handle->refs++;
                t->fd = t->handle->fd;
        } else if (node && S_ISDIR(is.type) && (t->kept = find_kept(g, id))) {
                t->kept->refs++;
                t->fd = t->kept->fd;
        } else {
                for (struct link *link = node ? node->links : NULL; link && count < NODE_LINKS; link = link->next)
                        if ((paths[count] = node_path(&g->tree, link)))
                                count++;
        }
        pthread_mutex_unlock(&g->lock);
        if (t->fd >= 0)
                return 0;
        int result = -ESTALE;
        for (unsigned i = 0; i < count; i++) {
                if (result < 0)
                        result = try_path(g, paths[i], &is, t);
                free(paths[i]);
        }
        if (result < 0) /* gone or replaced: the kernel is to look again, and will be told which */
                return result == -ENOENT || result == -ENOTDIR ? -ESTALE : result;
        if (S_ISDIR(is.type)) {
                pthread_mutex_lock(&g->lock);
                t->kept = keep(g, id, t->fd);
                t->own = false;
                pthread_mutex_unlock(&g->lock);
        }
        return 0;
}

void target_put(struct grant *g, struct target *t)
{
        if (t->handle)
                handle_put(g, t->handle);
        if (t->kept) {
                pthread_mutex_lock(&g->lock);
                kept_put(t->kept);
                pthread_mutex_unlock(&g->lock);
        }
        if (t->own)
                close(t->fd);
        t->handle = NULL;
        t->kept = NULL;
        t->own = false;
}

int target_stat(struct target *t, bool again)
{
        if (t->seen && !again)
                return 0;
        int result = stat_name(t->fd, "", &t->st);
        t->seen = result == 0;
        return result;
}

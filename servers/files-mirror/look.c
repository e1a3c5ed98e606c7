// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Looks at the main system for the kernel: by name, as the plain user, never through a symbolic link.
 *
 * Theory of operation. Everything is looked up from a descriptor of its directory with one fstatat(). Directories
 * are opened by openat2() from the nearest descriptor that is at hand, with RESOLVE_NO_SYMLINKS: somebody who swaps
 * a directory for a link between two looks gets an error, not another place. A descriptor is used for a second at
 * most, or until the watcher saw directories move.
 */
#include "mirror.h"
#include "standin.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>

#define DIRECTORY_AGE 1 /* seconds */
#define OVERFLOW_ID 65534U
#define PATH_ROOM 4096

/* A file system of the main system, by number. Inode numbers of different ones are kept apart in the upper 16 bits. */
struct device {
        dev_t dev;
        bool blank;
};

static long now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
        return t.tv_sec;
}

static int open_beneath(int directory, const char *path, int flags)
{
        struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
                               .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
        for (int tries = 0;; tries++) {
                long fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
                if (fd >= 0)
                        return (int)fd;
                if (errno != EAGAIN || tries == 16) /* EAGAIN: something was renamed meanwhile */
                        return errno == ELOOP ? -ENOTDIR : -errno;
        }
}

void directories_start(struct directories *d)
{
        for (size_t i = 0; i < DIRECTORIES; i++) {
                d->slot[i].id = NODE_NONE;
                d->slot[i].fd = -1;
        }
}

void directories_end(struct directories *d)
{
        for (size_t i = 0; i < DIRECTORIES; i++)
                if (d->slot[i].fd >= 0)
                        close(d->slot[i].fd);
}

static int kept(const struct directories *d, uint64_t id, unsigned epoch, long time)
{
        size_t i = (id ^ id >> 32) % DIRECTORIES;
        bool good = d->slot[i].id == id && d->slot[i].epoch == epoch && time - d->slot[i].opened <= DIRECTORY_AGE;
        return good ? d->slot[i].fd : -1;
}

static void keep(struct directories *d, uint64_t id, int fd, unsigned epoch, long time)
{
        size_t i = (id ^ id >> 32) % DIRECTORIES;
        if (d->slot[i].fd >= 0)
                close(d->slot[i].fd);
        d->slot[i].id = id;
        d->slot[i].fd = fd;
        d->slot[i].epoch = epoch;
        d->slot[i].opened = time;
}

int look_directory(struct mirror *m, struct directories *d, uint64_t id)
{
        if (id == NODE_ROOT)
                return m->root;
        unsigned epoch = atomic_load(&m->epoch);
        long time = now();
        int fd = kept(d, id, epoch, time);
        if (fd >= 0)
                return fd;
        char buffer[PATH_ROOM], *path;
        int base = m->root;
        uint64_t above = NODE_NONE;
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, id), *top = node ? node_parent(&m->tree, node) : NULL;
        while (top && node_parent(&m->tree, top)) {
                int at_hand = kept(d, node_id(top), epoch, time);
                if (at_hand >= 0) {
                        base = at_hand;
                        break;
                }
                top = node_parent(&m->tree, top);
        }
        path = node && top ? node_path(&m->tree, node, top, buffer, sizeof buffer) : NULL;
        if (node && top && !path)
                above = node_id(node_parent(&m->tree, node));
        pthread_mutex_unlock(&m->tree.lock);
        if (!node)
                return -ESTALE;
        if (path) {
                fd = open_beneath(base, path, O_PATH | O_DIRECTORY);
        } else { /* deeper than a path can say: in steps */
                base = look_directory(m, d, above);
                if (base < 0)
                        return base;
                pthread_mutex_lock(&m->tree.lock);
                node = node_find(&m->tree, id);
                if (node)
                        snprintf(buffer, sizeof buffer, "%s", node->name);
                pthread_mutex_unlock(&m->tree.lock);
                fd = node ? open_beneath(base, buffer, O_PATH | O_DIRECTORY) : -ESTALE;
        }
        if (fd >= 0)
                keep(d, id, fd, epoch, time);
        return fd;
}

/* Which number a file system has here, and whether it is shown at all. `fd` and `name` lead to a file on it. */
static unsigned device_number(struct mirror *m, dev_t dev, int fd, const char *name, bool *blank)
{
        pthread_mutex_lock(&m->tree.lock);
        for (size_t i = 0; i < m->device_count; i++) {
                if (m->devices[i].dev == dev) {
                        *blank = m->devices[i].blank;
                        pthread_mutex_unlock(&m->tree.lock);
                        return (unsigned)i;
                }
        }
        pthread_mutex_unlock(&m->tree.lock);
        struct statfs fs = {0};
        /* Without O_DIRECTORY: that would trigger an automount. */
        cleanup_close int file = *name ? openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
        *blank = fstatfs(*name ? file : fd, &fs) == 0 && rules_blank_type((long)fs.f_type);
        pthread_mutex_lock(&m->tree.lock);
        m->devices = memory_grow(m->devices, m->device_count + 1, sizeof *m->devices);
        m->devices[m->device_count] = (struct device){dev, *blank};
        unsigned number = (unsigned)m->device_count++;
        pthread_mutex_unlock(&m->tree.lock);
        return number;
}

/* May the server read it (and enter it)? The mode says so where it allows; where it does not, an ACL still may. */
static bool is_readable(const struct mirror *m, int fd, const char *name, const struct stat *st)
{
        unsigned needed = S_ISDIR(st->st_mode) ? 05 : 04, given = st->st_mode & 07;
        if (st->st_uid == m->uid)
                given = st->st_mode >> 6 & 07;
        else
                for (size_t i = 0; i < m->group_count; i++)
                        if (m->groups[i] == st->st_gid)
                                given = st->st_mode >> 3 & 07;
        if ((given & needed) == needed)
                return true;
        int mode = R_OK | (S_ISDIR(st->st_mode) ? X_OK : 0);
        return faccessat(fd, *name ? name : ".", mode, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0;
}

static void translate(const struct mirror *m, struct stat *st, unsigned device)
{
        st->st_uid = st->st_uid < m->ids ? st->st_uid : m->ids > OVERFLOW_ID ? OVERFLOW_ID : 0;
        st->st_gid = st->st_gid < m->ids ? st->st_gid : m->ids > OVERFLOW_ID ? OVERFLOW_ID : 0;
        st->st_ino ^= (ino_t)(device & 0xffff) << 48;
}

/* Fills *seen from seen->st as it is outside. */
static int judge(struct mirror *m, int fd, const char *name, struct seen *seen)
{
        struct stat *st = &seen->st;
        seen->dev = st->st_dev;
        seen->ino = st->st_ino;
        bool hidden = (seen->rule && seen->rule->kind == RULE_HIDDEN) || rules_hides(&m->rules, st->st_dev, st->st_ino);
        if (hidden)
                return -ENOENT;
        unsigned device = device_number(m, st->st_dev, fd, name, &seen->blank);
        if (S_ISDIR(st->st_mode))
                seen->blank |= seen->rule && seen->rule->kind == RULE_BLANK;
        else if (seen->blank)
                return -ENOENT;
        if (seen->blank) {
                *st = (struct stat){.st_mode = S_IFDIR | 0755, .st_nlink = 2, .st_ino = st->st_ino,
                                    .st_mtim = st->st_mtim, .st_blksize = st->st_blksize};
        } else if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) {
                seen->unreadable = !is_readable(m, fd, name, st);
                if (seen->unreadable && S_ISREG(st->st_mode)) {
                        st->st_size = standin_size(m, seen, fd, name);
                        seen->standin = st->st_size > 0;
                        st->st_blocks = 0;
                }
        }
        translate(m, st, device);
        return 0;
}

int look_name(struct mirror *m, int fd, const struct rule_point *rule, const char *name, struct seen *seen)
{
        *seen = (struct seen){.rule = rules_below(rule, name), .kept = KEPT_UNWATCHED};
        if (fstatat(fd, name, &seen->st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                return errno == EACCES ? -ENOENT : -errno; /* in a directory that may be listed and not entered */
        return judge(m, fd, name, seen);
}

/* Copies out what is needed to look at a node: the id of its directory, its name, and the directory's rule. */
static int place_of(struct mirror *m, uint64_t id, uint64_t *parent, const struct rule_point **rule, char name[256])
{
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, id), *above = node ? node_parent(&m->tree, node) : NULL;
        int result = !node ? -ESTALE : 0;
        if (above) {
                *parent = node_id(above);
                *rule = above->rule;
                snprintf(name, 256, "%s", node->name);
        } else {
                *parent = NODE_NONE;
        }
        pthread_mutex_unlock(&m->tree.lock);
        return result;
}

int look_node(struct mirror *m, struct directories *d, uint64_t id, struct seen *seen)
{
        uint64_t parent;
        const struct rule_point *rule;
        char name[256];
        int result = place_of(m, id, &parent, &rule, name);
        if (result < 0)
                return result;
        if (parent == NODE_NONE) {
                *seen = (struct seen){.rule = &m->rules.root, .kept = KEPT_UNWATCHED};
                return fstat(m->root, &seen->st) < 0 ? -errno : judge(m, m->root, "", seen);
        }
        int fd = look_directory(m, d, parent);
        return fd < 0 ? fd : look_name(m, fd, rule, name, seen);
}

int look_open(struct mirror *m, struct directories *d, uint64_t id, int flags)
{
        uint64_t parent;
        const struct rule_point *rule;
        char name[256];
        int result = place_of(m, id, &parent, &rule, name);
        if (result < 0)
                return result;
        if (parent == NODE_NONE)
                return open_beneath(m->root, ".", flags);
        int fd = look_directory(m, d, parent);
        if (fd < 0)
                return fd;
        /* O_NONBLOCK and O_NOCTTY: should a fifo or a terminal stand there by now, opening it changes nothing. */
        cleanup_close int file = open_beneath(fd, name, flags & O_PATH ? flags : flags | O_NONBLOCK | O_NOCTTY);
        if (file < 0)
                return file;
        struct seen seen = {.rule = rules_below(rule, name)};
        if (fstat(file, &seen.st) < 0)
                return -errno;
        result = judge(m, fd, name, &seen); /* of what was opened, not of what stands there now */
        if (result < 0)
                return result;
        if (!(flags & O_PATH) && (seen.blank || (!S_ISREG(seen.st.st_mode) && !S_ISDIR(seen.st.st_mode))))
                return -EACCES;
        return steal_fd(&file);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Looks at the main system for the kernel: by name, as the plain user, never through a symbolic link.
 *
 * Theory of operation. Everything is looked up from a descriptor of its directory with one fstatat(). Directories
 * are opened one by one from the nearest descriptor that is at hand, with RESOLVE_NO_SYMLINKS: somebody who swaps
 * a directory for a link between two looks gets an error, not another place. Each is judged by its descriptor, so that
 * a hidden directory which was moved to where another one stood is not entered. A descriptor is used for a second at
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
#define DEVICE_AGE 1    /* seconds for which the type of a file system is believed: numbers are used again */
#define OVERFLOW_ID 65534U
#define CHAIN 64 /* levels that are walked without memory of their own */

/* A file system of the main system, by number. Inode numbers of different ones are kept apart in the upper 16 bits. */
struct device {
        dev_t dev;
        bool blank;
        unsigned epoch; /* when it was looked at */
        long checked;   /* seconds */
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

size_t directories_expire(struct directories *d, long second)
{
        size_t left = 0;
        for (size_t i = 0; i < DIRECTORIES; i++) {
                if (d->slot[i].fd < 0)
                        continue;
                left++;
                if (second - d->slot[i].opened <= DIRECTORY_AGE)
                        continue;
                close(d->slot[i].fd);
                d->slot[i].id = NODE_NONE;
                d->slot[i].fd = -1;
                left--;
        }
        return left;
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

/* Which number a file system has here, and whether it is shown at all. `fd` and `name` lead to a file on it. Returns a
 * negative errno when that cannot be known: -ESTALE when another file stands there by now. */
static int device_number(struct mirror *m, dev_t dev, int fd, const char *name, bool *blank)
{
        unsigned epoch = atomic_load(&m->epoch);
        long time = now();
        size_t i;
        pthread_mutex_lock(&m->tree.lock);
        for (i = 0; i < m->device_count && m->devices[i].dev != dev; i++)
                ;
        bool known = i < m->device_count && m->devices[i].epoch == epoch && time - m->devices[i].checked <= DEVICE_AGE;
        if (known)
                *blank = m->devices[i].blank;
        pthread_mutex_unlock(&m->tree.lock);
        if (known)
                return (int)i;
        struct statfs fs;
        struct stat st;
        /* Without O_DIRECTORY: that would trigger an automount. */
        cleanup_close int file = *name ? openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
        int at = *name ? file : fd;
        if (at < 0 || fstat(at, &st) < 0 || fstatfs(at, &fs) < 0)
                return -errno;
        if (st.st_dev != dev)
                return -ESTALE;
        *blank = rules_blank_type((long)fs.f_type);
        pthread_mutex_lock(&m->tree.lock);
        for (i = 0; i < m->device_count && m->devices[i].dev != dev; i++)
                ;
        if (i == m->device_count)
                m->devices = memory_grow(m->devices, ++m->device_count, sizeof *m->devices);
        m->devices[i] = (struct device){dev, *blank, epoch, time};
        pthread_mutex_unlock(&m->tree.lock);
        return (int)i;
}

/* The node's name and its directory. */
struct place {
        uint64_t parent; /* NODE_NONE: the root */
        const struct rule_point *parent_rule, *rule;
        char name[NAME_ROOM];
};

static int place_of(struct mirror *m, uint64_t id, struct place *place)
{
        pthread_mutex_lock(&m->tree.lock);
        const struct node *node = node_find(&m->tree, id), *above = node ? node_parent(&m->tree, node) : NULL;
        place->parent = NODE_NONE;
        if (above) {
                place->parent = node_id(above);
                place->parent_rule = above->rule;
                place->rule = node->rule;
                snprintf(place->name, sizeof place->name, "%s", node->name);
        }
        pthread_mutex_unlock(&m->tree.lock);
        return node ? 0 : -ESTALE;
}

/* Opens the directory `id` in the directory `base`, which is the one above it. */
static int step(struct mirror *m, int base, uint64_t id)
{
        struct place place = {0};
        struct stat st;
        bool blank = false;
        int result = place_of(m, id, &place);
        if (result < 0)
                return result;
        /* Without O_DIRECTORY: that would trigger an automount. */
        cleanup_close int fd = open_beneath(base, place.name, O_PATH);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                return -ENOTDIR;
        if (rules_hides(&m->rules, &st, fd, ""))
                return -ENOENT;
        result = device_number(m, st.st_dev, fd, "", &blank);
        if (result < 0)
                return result;
        if (blank || (place.rule && place.rule->kind == RULE_BLANK))
                return -EACCES;
        return steal_fd(&fd);
}

int look_directory(struct mirror *m, struct directories *d, uint64_t id)
{
        if (id == NODE_ROOT)
                return m->rules.root.kind == RULE_BLANK ? -EACCES : m->root;
        unsigned epoch = atomic_load(&m->epoch);
        long time = now();
        int fd = kept(d, id, epoch, time);
        if (fd >= 0)
                return fd;
        /* From here up to the first one at hand; however deep it is. */
        uint64_t few[CHAIN], *chain = few;
        cleanup_free uint64_t *many = NULL;
        size_t count = 0, room = CHAIN;
        fd = m->root;
        pthread_mutex_lock(&m->tree.lock);
        const struct node *node = node_find(&m->tree, id);
        bool found = node;
        while (node && node_id(node) != NODE_ROOT) {
                int at_hand = count ? kept(d, node_id(node), epoch, time) : -1;
                if (at_hand >= 0) {
                        fd = at_hand;
                        break;
                }
                if (count == room) {
                        many = memory_grow(many, room * 2, sizeof *many);
                        if (chain == few)
                                memcpy(many, few, sizeof few);
                        chain = many;
                        room *= 2;
                }
                chain[count++] = node_id(node);
                node = node_parent(&m->tree, node);
        }
        pthread_mutex_unlock(&m->tree.lock);
        if (!found)
                return -ESTALE;
        while (count > 0) {
                fd = step(m, fd, chain[--count]);
                if (fd < 0)
                        return fd;
                keep(d, chain[count], fd, epoch, time); /* nothing else keeps fd; the one before may go now */
        }
        return fd;
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

static ino_t number(unsigned device, ino_t ino)
{
        return ino ^ (ino_t)(device & 0xffff) << 48;
}

static void translate(const struct mirror *m, struct stat *st, unsigned device)
{
        unsigned other = m->ids > OVERFLOW_ID ? OVERFLOW_ID : 0;
        /* A program that would become its owner must not become somebody else instead: root, at worst. */
        if (st->st_uid >= m->ids) {
                st->st_uid = other;
                st->st_mode &= S_ISREG(st->st_mode) ? ~(mode_t)S_ISUID : ~(mode_t)0;
        }
        if (st->st_gid >= m->ids) {
                st->st_gid = other;
                st->st_mode &= S_ISREG(st->st_mode) ? ~(mode_t)S_ISGID : ~(mode_t)0;
        }
        st->st_ino = number(device, st->st_ino);
}

ino_t look_number(const struct mirror *m, dev_t dev, ino_t ino)
{
        size_t i = 0;
        while (i < m->device_count && m->devices[i].dev != dev)
                i++;
        return number((unsigned)i, ino);
}

/* Fills *seen from seen->st as it is outside. */
static int judge(struct mirror *m, int fd, const char *name, struct seen *seen)
{
        struct stat *st = &seen->st;
        seen->dev = st->st_dev;
        seen->ino = st->st_ino;
        if ((seen->rule && seen->rule->kind == RULE_HIDDEN) || rules_hides(&m->rules, st, fd, name))
                return -ENOENT;
        if (S_ISCHR(st->st_mode) && st->st_rdev == 0)
                return -ENOENT; /* an overlay's whiteout: the overlay above would list it and then deny it */
        int device = device_number(m, st->st_dev, fd, name, &seen->blank);
        if (device < 0)
                return device;
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
        translate(m, st, (unsigned)device);
        return 0;
}

int look_name(struct mirror *m, int fd, const struct rule_point *rule, const char *name, struct seen *seen)
{
        /* Names come from the kernel, which never asks for these. */
        if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return -EINVAL;
        if (strlen(name) >= NAME_ROOM)
                return -ENAMETOOLONG;
        int result = -ESTALE;
        for (int tries = 0; result == -ESTALE && tries < 8; tries++) { /* again when it was replaced meanwhile */
                *seen = (struct seen){.rule = rules_below(rule, name), .kept = KEPT_UNWATCHED};
                if (fstatat(fd, name, &seen->st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                        return errno == EACCES ? -ENOENT
                                               : -errno; /* in a directory that may be listed and not entered */
                result = judge(m, fd, name, seen);
        }
        return result;
}

int look_node(struct mirror *m, struct directories *d, uint64_t id, struct seen *seen)
{
        struct place place = {0};
        int result = place_of(m, id, &place);
        if (result < 0)
                return result;
        if (place.parent == NODE_NONE) {
                *seen = (struct seen){.rule = &m->rules.root, .kept = KEPT_UNWATCHED};
                return fstat(m->root, &seen->st) < 0 ? -errno : judge(m, m->root, "", seen);
        }
        int fd = look_directory(m, d, place.parent);
        return fd < 0 ? fd : look_name(m, fd, place.parent_rule, place.name, seen);
}

int look_open(struct mirror *m, struct directories *d, uint64_t id, int flags)
{
        struct place place = {0};
        int result = place_of(m, id, &place);
        if (result < 0)
                return result;
        if (place.parent == NODE_NONE)
                return open_beneath(m->root, ".", flags);
        int fd = look_directory(m, d, place.parent);
        if (fd < 0)
                return fd;
        /* O_NONBLOCK and O_NOCTTY: should a fifo or a terminal stand there by now, opening it changes nothing. */
        cleanup_close int file = open_beneath(fd, place.name, flags & O_PATH ? flags : flags | O_NONBLOCK | O_NOCTTY);
        if (file < 0)
                return file;
        struct seen seen = {.rule = rules_below(place.parent_rule, place.name)};
        if (fstat(file, &seen.st) < 0)
                return -errno;
        result = judge(m, fd, place.name, &seen); /* of what was opened, not of what stands there now */
        if (result < 0)
                return result;
        if (!(flags & O_PATH) && (seen.blank || (!S_ISREG(seen.st.st_mode) && !S_ISDIR(seen.st.st_mode))))
                return -EACCES;
        return steal_fd(&file);
}

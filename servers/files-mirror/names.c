// SPDX-License-Identifier: GPL-3.0-or-later
/* Names for the kernel: see names.h. */
#include "mirror.h"
#include "ahead.h"
#include "drop.h"
#include "hold.h"
#include "names.h"
#include "record.h"
#include "serve.h"
#include "watch.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>

bool names_note(struct mirror *m, struct node *node, const struct seen *seen)
{
        uint16_t type = seen->st.st_mode & S_IFMT;
        bool same_type = !node->type || node->type == type;
        bool same = node->ino == seen->ino && node->dev == seen->dev;
        if (seen->unreadable && (!same || !node->type))
                record_unreadable(m, node);
        if (node->type && (!same || !same_type))
                watch_replaced(m, node); /* no event may have told it: a directory above was not watched */
        node->ino = seen->ino;
        node->dev = seen->dev;
        return same_type;
}

double names_attributes_kept(const struct node *node, const struct seen *seen, double kept)
{
        /* A file with more names may be changed under one that nobody watches here; a directory's times change with
         * what is in it. */
        if ((S_ISREG(seen->st.st_mode) && seen->st.st_nlink > 1) ||
            (S_ISDIR(seen->st.st_mode) && !seen->blank && node->watch <= 0))
                return KEPT_UNWATCHED;
        return kept;
}

/* Counts a lookup of what was found under `name` in a directory, and fills the entry. `changes` is m->changes from
 * before the look. Returns 0 or a negative errno. */
static int enter(struct mirror *m, uint64_t directory, const char *name, const struct seen *seen, unsigned changes,
                 struct fuse_entry_param *entry)
{
        int result = 0;
        double kept = seen->kept;
        pthread_mutex_lock(&m->tree.lock);
        struct node *parent = node_find(&m->tree, directory), *node = parent ? node_make(&m->tree, parent, name) : NULL;
        if (node) {
                if (!names_note(m, node, seen))
                        drop_names(m); /* the overlay above must look again */
                /* An event between the look and now found no node to tell of. */
                if (changes != atomic_load(&m->changes))
                        kept = KEPT_UNWATCHED;
                node->lookups++;
                node->type = seen->st.st_mode & S_IFMT;
                node->rule = seen->rule;
                *entry = (struct fuse_entry_param){.ino = node_id(node), .attr = seen->st, .entry_timeout = kept,
                                                   .attr_timeout = names_attributes_kept(node, seen, kept)};
        } else {
                result = parent ? -ENOMEM : -ESTALE;
        }
        bool crowded = m->tree.count > m->node_limit;
        pthread_mutex_unlock(&m->tree.lock);
        if (crowded) { /* as often as once a second: what is in use now may not be then */
                struct timespec t;
                clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
                if (atomic_exchange(&m->drop_asked, t.tv_sec) != t.tv_sec)
                        drop_names(m);
        }
        return result;
}

static void leave(struct mirror *m, uint64_t id, uint64_t lookups)
{
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, id);
        if (node)
                node_forget(&m->tree, node, lookups);
        pthread_mutex_unlock(&m->tree.lock);
}

/* The directory `id`, ready to be looked in: *rule is what rules say of it, *kept how long the answers hold. */
static int prepare(struct mirror *m, uint64_t id, const struct rule_point **rule, double *kept)
{
        unsigned epoch = atomic_load(&m->epoch);
        int fd = look_directory(m, &thread_keeps()->directories, id);
        if (fd < 0)
                return fd;
        *kept = watch_directory(m, id, fd, epoch);
        pthread_mutex_lock(&m->tree.lock);
        const struct node *node = node_find(&m->tree, id);
        *rule = node ? node->rule : NULL;
        pthread_mutex_unlock(&m->tree.lock);
        return fd;
}

/* Notes that a name was said not to exist. Returns how long the kernel may keep that. */
static double told_absent(struct mirror *m, uint64_t directory, int fd, const char *name, double kept, unsigned changes)
{
        pthread_mutex_lock(&m->tree.lock);
        struct node *parent = node_find(&m->tree, directory);
        struct node *node = parent ? node_child(&m->tree, parent, name) : NULL;
        if (parent)
                parent->absent_told = true;
        bool watched = parent && parent->watch > 0, changed = changes != atomic_load(&m->changes);
        pthread_mutex_unlock(&m->tree.lock);
        if (node)
                drop_names(m); /* the overlay knew it */
        if (!watched && fd >= 0)
                drop_when_changed(m, directory, fd);
        return changed ? KEPT_UNWATCHED : kept;
}

void answer_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        if (!hold_lookup(req, parent, name))
                answer_lookup_now(req, parent, name);
}

void answer_lookup_now(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        struct mirror *m = fuse_req_userdata(req);
        const struct rule_point *rule = NULL;
        struct seen seen;
        struct fuse_entry_param entry = {0};
        double kept = KEPT_UNWATCHED;
        unsigned changes = atomic_load(&m->changes);
        int fd = prepare(m, parent, &rule, &kept);
        int result = fd < 0 ? fd : look_name(m, fd, rule, name, &seen);
        if (result == 0) {
                seen.kept = kept;
                result = enter(m, parent, name, &seen, changes, &entry);
        }
        if (result == -ENOENT || result == -ENOTDIR || result == -EACCES || result == -ENAMETOOLONG) {
                entry = (struct fuse_entry_param){.entry_timeout = told_absent(m, parent, fd, name, kept, changes)};
                result = 0;
        }
        if (result < 0)
                fuse_reply_err(req, -result);
        else if (fuse_reply_entry(req, &entry) < 0 && entry.ino)
                leave(m, entry.ino, 1); /* whoever asked was killed */
        if (result == 0 && entry.ino)
                ahead_looked_up(m, parent);
}

void answer_forget(fuse_req_t req, fuse_ino_t id, uint64_t lookups)
{
        leave(fuse_req_userdata(req), id, lookups);
        fuse_reply_none(req);
}

void answer_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
        for (size_t i = 0; i < count; i++)
                leave(fuse_req_userdata(req), forgets[i].ino, forgets[i].nlookup);
        fuse_reply_none(req);
}

/* The descriptor of a listing of `directory` that stands at `offset`. */
static int listing(uint64_t id, int directory, off_t offset)
{
        struct keeps *keeps = thread_keeps();
        struct kept_listing *slot = &keeps->listings[id % KEPT_LISTINGS];
        struct stat st;
        if (fstat(directory, &st) < 0)
                return -errno;
        /* One that was begun is gone on with, also when entries came or went: not every file system finds the place
         * again. */
        if (offset && slot->id == id && slot->at == offset && slot->ino == st.st_ino && slot->dev == st.st_dev)
                return slot->fd;
        int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (offset && lseek(fd, offset, SEEK_SET) < 0) {
                int code = errno;
                close(fd);
                return -code;
        }
        if (slot->id != NODE_NONE)
                close(slot->fd);
        *slot = (struct kept_listing){id, fd, offset, st.st_dev, st.st_ino, keeps->second};
        return fd;
}

/* Two list a directory at the same time (ahead.h): the second is not told again what the kernel has just
 * been told of a name. Without a node's id an entry is a name and no more. */
static bool is_known(struct mirror *m, uint64_t directory, const char *name, struct fuse_entry_param *entry)
{
        pthread_mutex_lock(&m->tree.lock);
        const struct node *parent = node_find(&m->tree, directory);
        const struct node *node = parent ? node_child(&m->tree, parent, name) : NULL;
        bool known = node && node->lookups;
        if (known) {
                entry->attr.st_ino = look_number(m, (dev_t)node->dev, (ino_t)node->ino);
                entry->attr.st_mode = node->type;
        }
        pthread_mutex_unlock(&m->tree.lock);
        return known;
}

/* Adds one entry. Returns the room it took, 0 for one that is not shown, or a negative number when there is no
 * room. */
static ssize_t list_entry(fuse_req_t req, uint64_t id, int fd, const struct rule_point *rule, double keeps,
                          bool again, unsigned changes, const struct kernel_dirent *dirent, char *out, size_t room)
{
        struct mirror *m = fuse_req_userdata(req);
        struct fuse_entry_param entry = {.attr = {.st_ino = dirent->ino, .st_mode = (mode_t)dirent->type << 12}};
        bool dot = dirent->name[0] == '.' && (!dirent->name[1] || (dirent->name[1] == '.' && !dirent->name[2]));
        struct seen seen;
        if (!dot && !(again && is_known(m, id, dirent->name, &entry))) {
                size_t needed = fuse_add_direntry_plus(req, NULL, 0, dirent->name, NULL, 0);
                if (needed > room)
                        return -1;
                if (look_name(m, fd, rule, dirent->name, &seen) < 0)
                        return 0;
                seen.kept = keeps;
                if (enter(m, id, dirent->name, &seen, changes, &entry) < 0)
                        return 0;
        }
        size_t taken = fuse_add_direntry_plus(req, out, room, dirent->name, &entry, dirent->next);
        if (taken <= room)
                return (ssize_t)taken;
        if (entry.ino)
                leave(m, entry.ino, 1);
        return -1;
}

void answer_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info)
{
        (void)info;
        struct mirror *m = fuse_req_userdata(req);
        struct keeps *keeps = thread_keeps();
        const struct rule_point *rule = NULL;
        double kept = KEPT_UNWATCHED;
        unsigned changes = atomic_load(&m->changes);
        pid_t pid = fuse_req_ctx(req)->pid; /* now: a reply is the end of the request */
        int fd = prepare(m, id, &rule, &kept);
        if (fd >= 0)
                fd = listing(id, fd, offset);
        if (fd == -EACCES) { /* nobody may list it, or nobody shall */
                fuse_reply_buf(req, NULL, 0);
                return;
        }
        if (fd < 0) {
                fuse_reply_err(req, -fd);
                return;
        }
        char entries[8192] __attribute__((aligned(8)));
        size_t room = size < SERVE_ROOM ? size : SERVE_ROOM, used = 0;
        const size_t least = sizeof(struct kernel_dirent) + NAME_ROOM + 8;
        off_t at = offset;
        bool full = false, again = kept == KEPT_WATCHED && ahead_is_listed(m, id, changes);
        long got = 0;
        while (!full) {
                /* An entry of the kernel's answer takes about five times the room of what is read here. */
                size_t portion = (room - used) / 4 < sizeof entries ? (room - used) / 4 : sizeof entries;
                got = syscall(SYS_getdents64, fd, entries, portion < least ? least : portion);
                if (got <= 0)
                        break;
                for (long i = 0; i < got;) {
                        const struct kernel_dirent *dirent = (const void *)(entries + i);
                        ssize_t taken = list_entry(req, id, fd, rule, kept, again, changes, dirent,
                                                   keeps->buffer + used, room - used);
                        full = taken < 0;
                        if (full)
                                break;
                        used += (size_t)taken;
                        at = dirent->next;
                        i += dirent->length;
                }
        }
        int code = got < 0 && used == 0 ? errno : 0; /* not an end; with entries before it, it is asked for again */
        struct kept_listing *slot = &keeps->listings[id % KEPT_LISTINGS];
        slot->at = at;
        if ((full && lseek(fd, at, SEEK_SET) < 0) || code) { /* not to be used again */
                close(slot->fd);
                *slot = (struct kept_listing){.id = NODE_NONE};
        }
        if (code)
                fuse_reply_err(req, code);
        else
                fuse_reply_buf(req, keeps->buffer, used);
        if (offset == 0)
                ahead_listing(m, id, pid, changes);
        else if (used == 0 && !code)
                ahead_listed(m, id);
}


// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Answers the kernel's requests: read-only, so those that change anything are not even there (the kernel refuses
 * them on a read-only mount, and libfuse answers ENOSYS).
 *
 * OPEN and OPENDIR are answered ENOSYS once, and then never asked again: opening what is known costs no request. So
 * reading is by node, and a thread keeps a few descriptors of what it reads.
 */
#include "mirror.h"
#include "control.h"
#include "drop.h"
#include "readahead.h"
#include "serve.h"
#include "standin.h"
#include "watch.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>

static struct mirror *mirror_of(fuse_req_t req)
{
        return fuse_req_userdata(req);
}

/* Adds a hash to the set of those that were recorded. Returns false when it is there already. Lock held. */
static bool note_recorded(struct mirror *m, uint64_t hash)
{
        if (m->recorded_count >= m->recorded_room / 2) { /* open addressing, half empty */
                size_t room = m->recorded_room ? m->recorded_room * 2 : 64, old_room = m->recorded_room;
                cleanup_free uint64_t *old = m->recorded;
                m->recorded = memory_new(room * sizeof *m->recorded);
                m->recorded_room = room;
                m->recorded_count = 0;
                for (size_t i = 0; i < old_room; i++)
                        if (old[i])
                                note_recorded(m, old[i]);
        }
        hash |= !hash;
        size_t i = hash % m->recorded_room;
        for (; m->recorded[i]; i = (i + 1) % m->recorded_room)
                if (m->recorded[i] == hash)
                        return false;
        m->recorded[i] = hash;
        m->recorded_count++;
        return true;
}

/* Writes down, once, what has to be shown without content. Lock held. */
static void record_unreadable(struct mirror *m, const struct node *node)
{
        cleanup_free char *path = m->record < 0 ? NULL : node_path(&m->tree, node);
        uint64_t hash = 14695981039346656037ULL; /* FNV-1a */
        if (!path)
                return;
        for (const char *p = path; *p; p++)
                hash = (hash ^ (unsigned char)*p) * 1099511628211ULL;
        if (note_recorded(m, hash))
                (void)!write(m->record, path, strlen(path) + 1);
}

/* Notes what was seen where a node is. Returns false when it is of another type than before. Lock held. */
static bool note_seen(struct mirror *m, struct node *node, const struct seen *seen)
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

/* How long the kernel may keep the attributes of a node: what is found under its name is kept for `kept`. */
static double attributes_kept(const struct node *node, const struct seen *seen, double kept)
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
                if (!note_seen(m, node, seen))
                        drop_names(m); /* the overlay above must look again */
                /* An event between the look and now found no node to tell of. */
                if (changes != atomic_load(&m->changes))
                        kept = KEPT_UNWATCHED;
                node->lookups++;
                node->type = seen->st.st_mode & S_IFMT;
                node->rule = seen->rule;
                *entry = (struct fuse_entry_param){.ino = node_id(node), .attr = seen->st, .entry_timeout = kept,
                                                   .attr_timeout = attributes_kept(node, seen, kept)};
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

#define LOOKED_UP 8 /* names found one by one in a directory, after which the rest is worth a listing */

/* Names are being looked up one by one, each a request. A listing tells the kernel all of a directory's names and
 * attributes in a few; it has to be asked for from inside, because the kernel takes them only as an answer. */
static void notice_lookup(struct mirror *m, uint64_t directory)
{
        cleanup_free char *path = NULL;
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, directory);
        if (node && !node->listed && node->watch > 0 && ++node->looked_up == LOOKED_UP) {
                node->listed = true;
                path = node_path(&m->tree, node);
        }
        pthread_mutex_unlock(&m->tree.lock);
        if (path)
                control_list(m, path[1] ? path + 1 : ".");
}

static void answer_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        struct mirror *m = mirror_of(req);
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
                notice_lookup(m, parent);
}

static void answer_forget(fuse_req_t req, fuse_ino_t id, uint64_t lookups)
{
        leave(mirror_of(req), id, lookups);
        fuse_reply_none(req);
}

static void answer_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
        for (size_t i = 0; i < count; i++)
                leave(mirror_of(req), forgets[i].ino, forgets[i].nlookup);
        fuse_reply_none(req);
}

static void answer_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
        (void)info;
        struct mirror *m = mirror_of(req);
        struct seen seen;
        unsigned changes = atomic_load(&m->changes);
        int watch = watch_above(m, id), result = look_node(m, &thread_keeps()->directories, id, &seen);
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, id), *parent = node ? node_parent(&m->tree, node) : NULL;
        if (result == 0 && node) {
                bool watched = watch > 0 && parent && parent->watch == watch && changes == atomic_load(&m->changes);
                seen.kept = attributes_kept(node, &seen, watched ? KEPT_WATCHED : KEPT_UNWATCHED);
                if (!note_seen(m, node, &seen))
                        result = -ESTALE;
        }
        pthread_mutex_unlock(&m->tree.lock);
        if (result < 0) {
                if (result == -ENOENT || result == -ESTALE || result == -ENOTDIR)
                        drop_names(m); /* what the overlay knows is not there any more */
                fuse_reply_err(req, -result);
        } else {
                fuse_reply_attr(req, &seen.st, seen.kept);
        }
}

static void answer_readlink(fuse_req_t req, fuse_ino_t id)
{
        struct mirror *m = mirror_of(req);
        char target[4097];
        cleanup_close int fd = look_open(m, &thread_keeps()->directories, id, O_PATH);
        ssize_t length = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof target - 1);
        if (length < 0) {
                fuse_reply_err(req, fd < 0 ? -fd : errno);
                return;
        }
        target[length] = '\0';
        fuse_reply_readlink(req, target);
}

static void answer_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
        (void)id;
        (void)info;
        fuse_reply_err(req, ENOSYS);
}

/* The stand-in of a node, or NULL when it has none. */
static char *standin_of(struct mirror *m, uint64_t id)
{
        struct directories *d = &thread_keeps()->directories;
        struct seen seen;
        if (look_node(m, d, id, &seen) < 0 || !seen.standin)
                return NULL;
        char name[NAME_ROOM] = "";
        uint64_t parent = NODE_NONE;
        pthread_mutex_lock(&m->tree.lock);
        const struct node *node = node_find(&m->tree, id);
        if (node) {
                snprintf(name, sizeof name, "%s", node->name);
                parent = node_id(node_parent(&m->tree, node));
        }
        pthread_mutex_unlock(&m->tree.lock);
        int fd = parent == NODE_NONE ? -ENOENT : look_directory(m, d, parent);
        return fd < 0 ? NULL : standin_text(fd, name);
}

/* A descriptor to read a file by: kept by this thread while its directory is watched and nothing changed outside. */
static int readable(struct mirror *m, uint64_t id, bool *close_it)
{
        struct keeps *keeps = thread_keeps();
        unsigned epoch = atomic_load(&m->epoch);
        struct kept_file *slot = &keeps->files[id % KEPT_FILES];
        *close_it = false;
        if (slot->id == id && slot->epoch == epoch)
                return slot->fd;
        int watch = watch_above(m, id);
        int fd = look_open(m, &keeps->directories, id, O_RDONLY);
        if (fd < 0)
                return fd;
        pthread_mutex_lock(&m->tree.lock);
        const struct node *node = node_find(&m->tree, id), *parent = node ? node_parent(&m->tree, node) : NULL;
        *close_it = !parent || watch <= 0 || parent->watch != watch;
        pthread_mutex_unlock(&m->tree.lock);
        if (!*close_it) {
                if (slot->id != NODE_NONE)
                        close(slot->fd);
                *slot = (struct kept_file){id, fd, epoch, keeps->second};
        }
        return fd;
}

static void answer_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info)
{
        (void)info;
        struct mirror *m = mirror_of(req);
        bool close_it = false;
        int fd = readable(m, id, &close_it);
        if (fd == -EACCES) {
                cleanup_free char *text = standin_of(m, id);
                size_t length = text ? strlen(text) : 0;
                size_t from = (size_t)offset < length ? (size_t)offset : length;
                if (text)
                        fuse_reply_buf(req, text + from, length - from < size ? length - from : size);
                else
                        fuse_reply_err(req, EACCES);
                return;
        }
        if (fd < 0) {
                drop_names(m);
                fuse_reply_err(req, -fd == ENOENT ? ESTALE : -fd);
                return;
        }
        char *buffer = thread_keeps()->buffer;
        size_t done = 0, wanted = size < SERVE_ROOM ? size : SERVE_ROOM;
        ssize_t got = 0;
        do { /* less than was wanted is the end of the file, or a signal: which of them, the next one says */
                got = pread(fd, buffer + done, wanted - done, offset + (off_t)done);
                done += got > 0 ? (size_t)got : 0;
        } while (got > 0 && done < wanted && done % 4096 == 0);
        if (got < 0 && !done)
                fuse_reply_err(req, errno);
        else
                fuse_reply_buf(req, buffer, done);
        if (offset == 0)
                readahead_note(m, id);
        if (close_it)
                close(fd);
}

static void answer_lseek(fuse_req_t req, fuse_ino_t id, off_t offset, int whence, struct fuse_file_info *info)
{
        (void)info;
        struct mirror *m = mirror_of(req);
        cleanup_close int fd = look_open(m, &thread_keeps()->directories, id, O_RDONLY);
        off_t found = fd < 0 ? -1 : lseek(fd, offset, whence);
        if (fd == -EACCES) {
                cleanup_free char *text = standin_of(m, id);
                off_t length = text ? (off_t)strlen(text) : 0;
                if (offset < 0 || offset >= length)
                        fuse_reply_err(req, ENXIO);
                else
                        fuse_reply_lseek(req, whence == SEEK_HOLE ? length : offset);
        }
        else if (found < 0)
                fuse_reply_err(req, fd < 0 ? -fd : errno);
        else
                fuse_reply_lseek(req, found);
}

/* The descriptor of a listing of `directory` that stands at `offset`. */
static int listing(uint64_t id, int directory, off_t offset)
{
        struct keeps *keeps = thread_keeps();
        struct kept_listing *slot = &keeps->listings[id % KEPT_LISTINGS];
        struct stat st;
        if (fstat(directory, &st) < 0)
                return -errno;
        /* One that was begun is gone on with, also when entries came or went: not every file system finds the place again. */
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

/* Adds one entry. Returns the room it took, 0 for one that is not shown, or a negative number when there is no
 * room. */
static ssize_t list_entry(fuse_req_t req, uint64_t id, int fd, const struct rule_point *rule, double keeps,
                          unsigned changes, const struct kernel_dirent *dirent, char *out, size_t room)
{
        struct mirror *m = mirror_of(req);
        struct fuse_entry_param entry = {.attr = {.st_ino = dirent->ino, .st_mode = (mode_t)dirent->type << 12}};
        bool dot = dirent->name[0] == '.' && (!dirent->name[1] || (dirent->name[1] == '.' && !dirent->name[2]));
        struct seen seen;
        if (!dot) {
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

static void answer_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info)
{
        (void)info;
        struct mirror *m = mirror_of(req);
        struct keeps *keeps = thread_keeps();
        const struct rule_point *rule = NULL;
        double kept = KEPT_UNWATCHED;
        unsigned changes = atomic_load(&m->changes);
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
        bool full = false;
        long got = 0;
        while (!full) {
                /* An entry of the kernel's answer takes about five times the room of what is read here. */
                size_t portion = (room - used) / 4 < sizeof entries ? (room - used) / 4 : sizeof entries;
                got = syscall(SYS_getdents64, fd, entries, portion < least ? least : portion);
                if (got <= 0)
                        break;
                for (long i = 0; i < got;) {
                        const struct kernel_dirent *dirent = (const void *)(entries + i);
                        ssize_t taken = list_entry(req, id, fd, rule, kept, changes, dirent, keeps->buffer + used, room - used);
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
}

/*
 * Extended attributes are refused as a whole (ENOSYS, once). FUSE keeps none, and overlay asks for one with each
 * regular file that it looks up ("user.overlay.metacopy"), ls and cp for several more: every one of them would be a
 * request, for files that hardly ever have any. So the main system's ACLs, file capabilities and user attributes
 * are not seen inside; what is set inside lies in the layer and is. Measured: walk 36 us a name with them, 14
 * without; README.md says what follows from it.
 */
static void answer_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
        (void)id;
        (void)name;
        (void)size;
        fuse_reply_err(req, ENOSYS);
}

static void answer_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
        (void)id;
        (void)size;
        fuse_reply_err(req, ENOSYS);
}

static void answer_statfs(fuse_req_t req, fuse_ino_t id)
{
        struct mirror *m = mirror_of(req);
        struct statvfs fs = {0};
        cleanup_close int fd = look_open(m, &thread_keeps()->directories, id, O_PATH);
        if (fd < 0 || fstatvfs(fd, &fs) < 0)
                fuse_reply_err(req, fd < 0 ? -fd : errno);
        else
                fuse_reply_statfs(req, &fs);
}

static void answer_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
        (void)id;
        (void)info;
        fuse_reply_err(req, ENOSYS); /* and is never asked again */
}

static void begin(void *context, struct fuse_conn_info *connection)
{
        (void)context;
        connection->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                                        FUSE_CAP_SPLICE_MOVE | FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS);
        const unsigned wanted = FUSE_CAP_READDIRPLUS | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
                                FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_ASYNC_READ |
                                FUSE_CAP_AUTO_INVAL_DATA;
        connection->want |= wanted & connection->capable;
        connection->max_readahead = SERVE_ROOM;
        connection->max_background = 64;
}

const struct fuse_lowlevel_ops mirror_answers = {
        .init = begin,
        .lookup = answer_lookup,
        .forget = answer_forget,
        .forget_multi = answer_forget_multi,
        .getattr = answer_getattr,
        .readlink = answer_readlink,
        .open = answer_open,
        .opendir = answer_open,
        .read = answer_read,
        .flush = answer_flush,
        .lseek = answer_lseek,
        .readdirplus = answer_readdirplus,
        .getxattr = answer_getxattr,
        .listxattr = answer_listxattr,
        .statfs = answer_statfs,
};

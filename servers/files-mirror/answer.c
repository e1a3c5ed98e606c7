// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Answers the kernel's requests: read-only, so those that change anything are not even there (the kernel refuses
 * them on a read-only mount, and libfuse answers ENOSYS).
 *
 * OPEN and OPENDIR are answered ENOSYS once, and then never asked again: opening what is known costs no request. So
 * reading is by node, and a thread keeps a few descriptors of what it reads.
 */
#include "mirror.h"
#include "connection.h"
#include "drop.h"
#include "names.h"
#include "readahead.h"
#include "serve.h"
#include "standin.h"
#include "watch.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

static struct mirror *mirror_of(fuse_req_t req)
{
        return fuse_req_userdata(req);
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
                seen.kept = names_attributes_kept(node, &seen, watched ? KEPT_WATCHED : KEPT_UNWATCHED);
                if (!names_note(m, node, &seen))
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

const struct fuse_lowlevel_ops mirror_answers = {
        .init = connection_begin,
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

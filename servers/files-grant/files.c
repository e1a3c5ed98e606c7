// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Answers about what is in files.
 *
 * Theory of operation. Pages are the kernel's; it writes through. (A write-back cache would have the kernel keep size
 * and time of what it wrote: changes outside would not be seen.) What a mapping changed is written later: those
 * requests have FUSE_WRITE_CACHE. A descriptor that only writes or appends goes past the pages where the kernel can do
 * that beside mappings (7.39): one copy less, and an append goes to where the end is outside. At OPEN the pages are
 * kept when the file is what they show.
 */
#include "names.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#define COPY_AT_ONCE (64U << 20) /* bytes of a copy_file_range(), for which its program cannot be killed */
#ifndef FOPEN_NOFLUSH
#define FOPEN_NOFLUSH (1 << 5)
#endif

/* Was the last change so long ago that the next one will have another time? */
static bool is_settled(const struct statx *st)
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        int64_t seconds = now.tv_sec - st->stx_ctime.tv_sec;
        return seconds > 1 || (seconds >= 0 && seconds * 1000000000LL + now.tv_nsec - st->stx_ctime.tv_nsec > FRESH_NS);
}

/* Notes what the kernel's pages show from now on. Returns whether those that it has show the same. Lock held. */
static bool note_content(struct node *node, const struct statx *st)
{
        struct stamp stamp = stamp_of(st);
        bool same = node->stamped && stamp_same(&stamp, &node->stamp);
        node->stamp = stamp;
        node->stamped = is_settled(st);
        node->touched = true;
        return same;
}

int open_answer(struct request *r, uint64_t id, int fd, uint32_t flags, const struct statx *st,
                struct fuse_open_out *out)
{
        struct grant *g = r->grant;
        struct handle *handle = NULL;
        bool writable = (flags & O_ACCMODE) != O_RDONLY;
        pthread_mutex_lock(&g->lock);
        struct node *node = node_find(&g->tree, id);
        int result = node ? handle_new(g, node, fd, writable, false, &handle) : -ESTALE;
        bool keep = result == 0 && note_content(node, st);
        pthread_mutex_unlock(&g->lock);
        if (result < 0) {
                close(fd);
                return result;
        }
        *out = (struct fuse_open_out){.fh = handle_number(handle), .open_flags = keep ? FOPEN_KEEP_CACHE : 0};
        if (!writable)
                out->open_flags |= FOPEN_NOFLUSH;
        else if (g->direct && ((flags & O_ACCMODE) == O_WRONLY || flags & O_APPEND))
                out->open_flags |= FOPEN_DIRECT_IO;
        r->opened = handle;
        return 0;
}

int answer_open(struct request *r)
{
        const struct fuse_open_in *in = (const void *)r->argument;
        struct fuse_open_out *out = (void *)r->reply;
        struct target file;
        struct statx st;
        bool changes = (in->flags & O_ACCMODE) != O_RDONLY || in->flags & O_TRUNC;
        if (changes && !atomic_load(&r->grant->writable))
                return -EROFS;
        int result = target_get(r->grant, r->head->nodeid, &file);
        if (result == 0)
                result = target_stat(&file, false);
        if (result == 0 && !S_ISREG(file.st.stx_mode))
                result = -EACCES;
        int fd = result < 0 ? result
                            : reopen(r->grant, file.fd, (int)(in->flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC)));
        target_put(r->grant, &file);
        if (fd < 0)
                return fd;
        result = stat_name(fd, "", &st);
        if (result < 0) {
                close(fd);
                return result;
        }
        r->reply_size = sizeof *out;
        return open_answer(r, r->head->nodeid, fd, in->flags, &st, out);
}

int answer_read(struct request *r)
{
        const struct fuse_read_in *in = (const void *)r->argument;
        size_t wanted = in->size < REPLY_ROOM ? in->size : REPLY_ROOM, done = 0;
        struct handle *handle = handle_get(r->grant, in->fh, r->head->nodeid);
        if (!handle)
                return -EBADF;
        ssize_t got;
        do {
                got = pread(handle->fd, r->reply + done, wanted - done, (off_t)(in->offset + done));
                done += got > 0 ? (size_t)got : 0;
        } while (got > 0 && done < wanted);
        int result = got < 0 && !done ? -errno : 0;
        handle_put(r->grant, handle);
        r->reply_size = done;
        return result;
}

int answer_write(struct request *r)
{
        const struct fuse_write_in *in = (const void *)r->argument;
        struct fuse_write_out *out = (void *)r->reply;
        const char *data = (const char *)(in + 1);
        struct handle *handle = handle_get(r->grant, in->fh, r->head->nodeid);
        if (!handle)
                return -EBADF;
        bool append = in->flags & O_APPEND && !(in->write_flags & FUSE_WRITE_CACHE);
        size_t wanted = in->size < r->size - sizeof *in ? in->size : r->size - sizeof *in, done = 0;
        ssize_t put = 0;
        do {
                struct iovec part = {(void *)(data + done), wanted - done};
                put = pwritev2(handle->fd, &part, 1, (off_t)(in->offset + done), append ? RWF_APPEND : 0);
                done += put > 0 ? (size_t)put : 0;
        } while (put > 0 && done < wanted);
        int result = put < 0 && !done ? -errno : 0;
        handle_put(r->grant, handle);
        *out = (struct fuse_write_out){.size = (uint32_t)done};
        r->reply_size = sizeof *out;
        return result;
}

/* close(2) inside: what is behind the file outside may only now say that it failed. */
int answer_flush(struct request *r)
{
        const struct fuse_flush_in *in = (const void *)r->argument;
        struct handle *handle = handle_get(r->grant, in->fh, r->head->nodeid);
        if (!handle)
                return -EBADF;
        locks_drop(r->grant, handle, in->lock_owner);
        int again = handle->writable ? fcntl(handle->fd, F_DUPFD_CLOEXEC, 0) : -1;
        int result = again >= 0 && close(again) < 0 ? -errno : 0;
        handle_put(r->grant, handle);
        return result;
}

int answer_release(struct request *r)
{
        const struct fuse_release_in *in = (const void *)r->argument;
        struct handle *handle = handle_get(r->grant, in->fh, r->head->nodeid);
        if (!handle)
                return -EBADF;
        locks_drop_handle(r->grant, handle);
        handle_drop(r->grant, handle);
        handle_put(r->grant, handle);
        return 0;
}

int answer_fsync(struct request *r)
{
        const struct fuse_fsync_in *in = (const void *)r->argument;
        struct handle *handle = handle_get(r->grant, in->fh, r->head->nodeid);
        if (!handle)
                return -EBADF;
        int result = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(handle->fd) : fsync(handle->fd);
        result = result < 0 ? -errno : 0;
        handle_put(r->grant, handle);
        return result;
}

int answer_fallocate(struct request *r)
{
        const struct fuse_fallocate_in *in = (const void *)r->argument;
        struct handle *handle = handle_get(r->grant, in->fh, r->head->nodeid);
        if (!handle)
                return -EBADF;
        int result = fallocate(handle->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0 ? -errno : 0;
        handle_put(r->grant, handle);
        return result;
}

int answer_lseek(struct request *r)
{
        const struct fuse_lseek_in *in = (const void *)r->argument;
        struct fuse_lseek_out *out = (void *)r->reply;
        if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
                return -EINVAL;
        struct handle *handle = handle_get(r->grant, in->fh, r->head->nodeid);
        if (!handle)
                return -EBADF;
        off_t found = lseek(handle->fd, (off_t)in->offset, (int)in->whence);
        int result = found < 0 ? -errno : 0;
        handle_put(r->grant, handle);
        *out = (struct fuse_lseek_out){.offset = (uint64_t)found};
        r->reply_size = sizeof *out;
        return result;
}

int answer_copy_file_range(struct request *r)
{
        const struct fuse_copy_file_range_in *in = (const void *)r->argument;
        struct fuse_write_out *out = (void *)r->reply;
        struct handle *from = handle_get(r->grant, in->fh_in, r->head->nodeid);
        struct handle *to = handle_get(r->grant, in->fh_out, in->nodeid_out);
        ssize_t copied = -EBADF;
        if (from && to) {
                off_t read_at = (off_t)in->off_in, write_at = (off_t)in->off_out;
                copied = copy_file_range(from->fd, &read_at, to->fd, &write_at,
                                         in->len < COPY_AT_ONCE ? in->len : COPY_AT_ONCE, 0);
                if (copied < 0)
                        copied = -errno;
        }
        if (from)
                handle_put(r->grant, from);
        if (to)
                handle_put(r->grant, to);
        *out = (struct fuse_write_out){.size = copied > 0 ? (uint32_t)copied : 0};
        r->reply_size = sizeof *out;
        return copied < 0 ? (int)copied : 0;
}

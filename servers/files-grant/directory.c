// SPDX-License-Identifier: GPL-3.0-or-later
/* Answers about what is in directories: positions are those of the directory outside. */
#include "names.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#define LISTING_ROOM 65536U  /* of an answer */
#define ENTRIES_ROOM 32768U  /* read at once */

struct entry { /* struct linux_dirent64 */
        uint64_t ino;
        int64_t next;
        uint16_t length;
        uint8_t type;
        char name[];
};

int answer_opendir(struct request *r)
{
        struct fuse_open_out *out = (void *)r->reply;
        struct grant *g = r->grant;
        struct target directory;
        struct handle *handle = NULL;
        int result = target_get(g, r->head->nodeid, &directory);
        if (result < 0)
                return result;
        int fd = reopen(g, directory.fd, O_RDONLY | O_DIRECTORY);
        target_put(g, &directory);
        if (fd < 0)
                return fd;
        pthread_mutex_lock(&g->lock);
        struct node *node = node_find(&g->tree, r->head->nodeid);
        result = node ? handle_new(g, node, fd, false, true, &handle) : -ESTALE;
        pthread_mutex_unlock(&g->lock);
        if (result < 0) {
                close(fd);
                return result;
        }
        *out = (struct fuse_open_out){.fh = handle_number(handle)};
        r->opened = handle;
        r->reply_size = sizeof *out;
        return 0;
}

/* One entry of an answer. Returns its size, or 0 when there is no room for it. */
static size_t add_entry(struct request *r, const struct handle *handle, const struct entry *entry, bool plus,
                        size_t room)
{
        struct fuse_dirent *out = (void *)(r->reply + r->reply_size);
        struct fuse_entry_out *more = NULL;
        size_t length = strlen(entry->name), head = FUSE_NAME_OFFSET;
        if (plus) {
                more = (void *)out;
                out = (void *)(more + 1);
                head = FUSE_NAME_OFFSET_DIRENTPLUS;
        }
        size_t size = FUSE_DIRENT_ALIGN(head + length);
        if (size > room)
                return 0;
        memset(r->reply + r->reply_size, 0, size);
        *out = (struct fuse_dirent){.ino = entry->ino, .off = (uint64_t)entry->next, .namelen = (uint32_t)length,
                                    .type = entry->type};
        memcpy(out->name, entry->name, length);
        struct statx st;
        if (more && is_name(entry->name) && look_name(r->grant, handle->fd, entry->name, &st) == 0 &&
            enter(r, r->head->nodeid, entry->name, &st, more) == 0) {
                out->ino = more->attr.ino;
                out->type = st.stx_mode >> 12 & 15;
        }
        return size;
}

static int list(struct request *r, bool plus)
{
        const struct fuse_read_in *in = (const void *)r->argument;
        struct handle *handle = handle_get(r->grant, in->fh, r->head->nodeid);
        size_t wanted = in->size < LISTING_ROOM ? in->size : LISTING_ROOM;
        char *entries = r->reply + LISTING_ROOM;
        if (!handle || !handle->directory) {
                if (handle)
                        handle_put(r->grant, handle);
                return -EBADF;
        }
        int result = 0;
        bool full = false;
        r->listed = plus;
        pthread_mutex_lock(&handle->listing);
        if (handle->position != (int64_t)in->offset && lseek(handle->fd, (off_t)in->offset, SEEK_SET) < 0)
                result = -errno;
        handle->position = (int64_t)in->offset;
        int64_t read_to = handle->position;
        while (result == 0 && !full) {
                long got = syscall(SYS_getdents64, handle->fd, entries, ENTRIES_ROOM);
                if (got <= 0) {
                        result = got < 0 && !r->reply_size ? -errno : 0;
                        break;
                }
                for (long at = 0; at < got && !full;) {
                        const struct entry *entry = (const void *)(entries + at);
                        size_t size = add_entry(r, handle, entry, plus, wanted - r->reply_size);
                        full = size == 0;
                        if (!full)
                                handle->position = entry->next;
                        r->reply_size += size;
                        at += entry->length;
                        read_to = entry->next;
                }
        }
        if (read_to != handle->position) /* what did not fit is read again */
                lseek(handle->fd, (off_t)handle->position, SEEK_SET);
        pthread_mutex_unlock(&handle->listing);
        handle_put(r->grant, handle);
        return result;
}

int answer_readdir(struct request *r)
{
        return list(r, false);
}

int answer_readdirplus(struct request *r)
{
        return list(r, true);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* The connection to the kernel: see connection.h. */
#include "connection.h"
#include "serve.h"

#include "base/cleanup.h"

#include <linux/fuse.h>
#include <sys/uio.h>

void connection_begin(void *context, struct fuse_conn_info *connection)
{
        struct mirror *m = context;
        connection->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                                        FUSE_CAP_SPLICE_MOVE | FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS);
        const unsigned wanted = FUSE_CAP_READDIRPLUS | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
                                FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_ASYNC_READ |
                                FUSE_CAP_AUTO_INVAL_DATA;
        connection->want |= wanted & connection->capable;
        connection->max_readahead = SERVE_ROOM;
        connection->max_background = 64;
        m->greeting = connection->capable & FUSE_CAP_PARALLEL_DIROPS;
}

/* The answer to the first request is the first reply, and comes before others are made. */
static ssize_t write_reply(int fd, struct iovec *parts, int count, void *context)
{
        struct mirror *m = context;
        if (m->greeting && count > 1 && parts[1].iov_len >= offsetof(struct fuse_init_out, flags) + sizeof(uint32_t)) {
                struct fuse_init_out *answer = parts[1].iov_base;
                answer->flags |= FUSE_PARALLEL_DIROPS;
                m->greeting = false;
        }
        return writev(fd, parts, count);
}

static ssize_t read_request(int fd, void *buffer, size_t size, void *context)
{
        (void)context;
        return read(fd, buffer, size);
}

int connection_new(struct mirror *m)
{
        char *argv[] = {(char *)"paddock-files-mirror", NULL};
        struct fuse_args args = FUSE_ARGS_INIT(1, argv);
        m->session = fuse_session_new(&args, &mirror_answers, sizeof mirror_answers, m);
        fuse_opt_free_args(&args);
        return m->session ? 0 : -ENOMEM;
}

int connection_start(struct mirror *m, int device)
{
        static const struct fuse_custom_io io = {.writev = write_reply, .read = read_request};
        return fuse_session_custom_io(m->session, &io, device);
}

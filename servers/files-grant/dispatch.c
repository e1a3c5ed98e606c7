// SPDX-License-Identifier: GPL-3.0-or-later
/* From the kernel's request to the function that answers it, and the answer back. */
#include "source.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/uio.h>

#define DIRECT_IO_ALLOW_MMAP (1ULL << 36) /* 7.39 */
#define BACKGROUND 64 /* requests that nobody waits for (reading ahead), at once */

enum what {
        CHANGES = 1,   /* refused when the grant is for reading */
        GIVES = 2,     /* the answer holds what the grant protects: withheld once it is denied */
        ALWAYS = 4,    /* done although it is denied: gives nothing, and gives back */
        NO_USE = 8,    /* is no use of the grant */
        LOOKS = 16,    /* needs no file system outside: a hurried worker does it */
};

struct action {
        int (*answer)(struct request *r);
        uint16_t least; /* bytes of arguments */
        uint16_t what;
};

static const struct action actions[] = {
        [FUSE_LOOKUP] = {answer_lookup, 1, GIVES},
        [FUSE_FORGET] = {answer_forget, sizeof(struct fuse_forget_in), ALWAYS | NO_USE | LOOKS},
        [FUSE_BATCH_FORGET] = {answer_batch_forget, sizeof(struct fuse_batch_forget_in), ALWAYS | NO_USE | LOOKS},
        [FUSE_GETATTR] = {answer_getattr, 0, GIVES | NO_USE},
        [FUSE_SETATTR] = {answer_setattr, sizeof(struct fuse_setattr_in), CHANGES},
        [FUSE_READLINK] = {answer_readlink, 0, GIVES},
        [FUSE_SYMLINK] = {answer_symlink, 2, CHANGES | GIVES},
        [FUSE_MKNOD] = {answer_mknod, sizeof(struct fuse_mknod_in), CHANGES | GIVES},
        [FUSE_MKDIR] = {answer_mkdir, sizeof(struct fuse_mkdir_in), CHANGES | GIVES},
        [FUSE_UNLINK] = {answer_unlink, 1, CHANGES},
        [FUSE_RMDIR] = {answer_rmdir, 1, CHANGES},
        [FUSE_RENAME] = {answer_rename, sizeof(struct fuse_rename_in), CHANGES},
        [FUSE_RENAME2] = {answer_rename2, sizeof(struct fuse_rename2_in), CHANGES},
        [FUSE_LINK] = {answer_link, sizeof(struct fuse_link_in), CHANGES | GIVES},
        [FUSE_CREATE] = {answer_create, sizeof(struct fuse_create_in), CHANGES | GIVES},
        [FUSE_TMPFILE] = {answer_tmpfile, sizeof(struct fuse_create_in), CHANGES | GIVES},
        [FUSE_OPEN] = {answer_open, sizeof(struct fuse_open_in), GIVES},
        [FUSE_READ] = {answer_read, sizeof(struct fuse_read_in), GIVES},
        [FUSE_WRITE] = {answer_write, sizeof(struct fuse_write_in), CHANGES},
        [FUSE_FLUSH] = {answer_flush, sizeof(struct fuse_flush_in), NO_USE},
        [FUSE_RELEASE] = {answer_release, sizeof(struct fuse_release_in), ALWAYS | NO_USE},
        [FUSE_RELEASEDIR] = {answer_release, sizeof(struct fuse_release_in), ALWAYS | NO_USE},
        [FUSE_FSYNC] = {answer_fsync, sizeof(struct fuse_fsync_in), 0},
        [FUSE_FSYNCDIR] = {answer_fsync, sizeof(struct fuse_fsync_in), 0},
        [FUSE_FALLOCATE] = {answer_fallocate, sizeof(struct fuse_fallocate_in), CHANGES},
        [FUSE_LSEEK] = {answer_lseek, sizeof(struct fuse_lseek_in), GIVES},
        [FUSE_COPY_FILE_RANGE] = {answer_copy_file_range, sizeof(struct fuse_copy_file_range_in), CHANGES},
        [FUSE_OPENDIR] = {answer_opendir, sizeof(struct fuse_open_in), GIVES},
        [FUSE_READDIR] = {answer_readdir, sizeof(struct fuse_read_in), GIVES},
        [FUSE_READDIRPLUS] = {answer_readdirplus, sizeof(struct fuse_read_in), GIVES},
        [FUSE_STATFS] = {answer_statfs, 0, GIVES | NO_USE},
        [FUSE_SETXATTR] = {answer_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, CHANGES},
        [FUSE_GETXATTR] = {answer_getxattr, sizeof(struct fuse_getxattr_in), GIVES | NO_USE},
        [FUSE_LISTXATTR] = {answer_listxattr, sizeof(struct fuse_getxattr_in), GIVES | NO_USE},
        [FUSE_REMOVEXATTR] = {answer_removexattr, 1, CHANGES},
        [FUSE_GETLK] = {answer_getlk, sizeof(struct fuse_lk_in), 0},
        [FUSE_SETLK] = {answer_setlk, sizeof(struct fuse_lk_in), 0},
        [FUSE_SETLKW] = {answer_setlkw, sizeof(struct fuse_lk_in), 0},
};

static const struct action *action_of(uint32_t opcode)
{
        return opcode < sizeof actions / sizeof *actions && actions[opcode].answer ? &actions[opcode] : NULL;
}

bool is_change(uint32_t opcode)
{
        const struct action *action = action_of(opcode);
        return action && action->what & CHANGES;
}

static int send_reply(struct grant *g, uint64_t unique, int error, const void *data, size_t size)
{
        struct fuse_out_header head = {.len = (uint32_t)(sizeof head + size), .error = error, .unique = unique};
        struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, size}};
        return writev(g->device, parts, size ? 2 : 1) < 0 ? -errno : 0;
}

int reply_error(struct grant *g, uint64_t unique, int error)
{
        return send_reply(g, unique, error, NULL, 0);
}

int reply_init(struct grant *g, const struct fuse_in_header *head, const char *argument, size_t size,
               uint32_t max_write)
{
        static const uint64_t wanted = FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                                       FUSE_FLOCK_LOCKS | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS |
                                       FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
                                       FUSE_HANDLE_KILLPRIV_V2 | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | FUSE_INIT_EXT |
                                       DIRECT_IO_ALLOW_MMAP;
        struct fuse_init_in in = {0};
        memcpy(&in, argument, size < sizeof in ? size : sizeof in);
        if (in.major != FUSE_KERNEL_VERSION || in.minor < 36) {
                reply_error(g, head->unique, -EPROTO);
                return -EPROTO;
        }
        uint64_t offered = in.flags | (in.flags & FUSE_INIT_EXT ? (uint64_t)in.flags2 << 32 : 0),
                 flags = wanted & offered;
        g->direct = flags & DIRECT_IO_ALLOW_MMAP;
        struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                    .minor = FUSE_KERNEL_MINOR_VERSION,
                                    .max_readahead = in.max_readahead,
                                    .flags = (uint32_t)flags,
                                    .flags2 = (uint32_t)(flags >> 32),
                                    .max_background = BACKGROUND,
                                    .congestion_threshold = BACKGROUND * 3 / 4,
                                    .max_write = max_write,
                                    .time_gran = 1,
                                    .max_pages = (uint16_t)((max_write + 4095) / 4096)};
        return send_reply(g, head->unique, 0, &out, sizeof out);
}

/* Takes back what an answer gave that did not arrive. */
static void undo(struct request *r)
{
        struct grant *g = r->grant;
        if (r->opened)
                handle_drop(g, r->opened);
        for (size_t at = 0; r->listed && at < r->reply_size;) {
                const struct fuse_direntplus *entry = (const void *)(r->reply + at);
                pthread_mutex_lock(&g->lock);
                struct node *node = node_find(&g->tree, entry->entry_out.nodeid);
                if (node)
                        node_forget(&g->tree, node, 1);
                pthread_mutex_unlock(&g->lock);
                at += FUSE_DIRENTPLUS_SIZE(entry);
        }
        if (r->entered) {
                pthread_mutex_lock(&g->lock);
                struct node *node = node_find(&g->tree, r->entered);
                if (node)
                        node_forget(&g->tree, node, 1);
                pthread_mutex_unlock(&g->lock);
        }
}

/* Answers, unless somebody did in the meantime. */
static void finish(struct request *r, int result, bool gives)
{
        struct worker *w = r->worker;
        pthread_mutex_lock(&w->reply);
        bool mine = w->unique == r->head->unique;
        w->unique = 0;
        if (mine && result < 0)
                atomic_fetch_add(&r->grant->lost, w->bytes);
        if (result == 0 && gives && atomic_load(&r->grant->deny))
                result = -EACCES; /* from here on nothing is handed out: revoke.c waits for `reply` */
        int sent = !mine ? -ENOENT
                   : r->parked
                           ? 0
                           : send_reply(r->grant, r->head->unique, result, r->reply, result < 0 ? 0 : r->reply_size);
        pthread_mutex_unlock(&w->reply);
        if (result < 0 || sent < 0)
                undo(r);
}

/* May it be done now? A negative errno when not. */
static int permitted(struct request *r, const struct action *action)
{
        struct grant *g = r->grant;
        const struct fuse_write_in *write = r->head->opcode == FUSE_WRITE ? (const void *)r->argument : NULL;
        bool mapped = write && r->size >= sizeof *write && write->write_flags & FUSE_WRITE_CACHE;
        int deny = atomic_load(&g->deny);
        if (mapped && (deny == DENY_NEW || (deny == DENY_NOTHING && atomic_load(&g->flushing))))
                return 0;
        if (deny && !(action->what & ALWAYS))
                return -EACCES;
        if (r->worker->hurried && !(action->what & (LOOKS | ALWAYS)))
                return -EIO;
        if (action->what & CHANGES && !atomic_load(&g->writable))
                return -EROFS;
        return 0;
}

void dispatch(struct request *r)
{
        const struct action *action = action_of(r->head->opcode);
        struct worker *w = r->worker;
        if (r->head->opcode == FUSE_INTERRUPT) {
                if (r->size >= sizeof(struct fuse_interrupt_in))
                        worker_interrupt(r, ((const struct fuse_interrupt_in *)(const void *)r->argument)->unique);
                return;
        }
        if (!action || r->size < action->least) {
                if (r->head->opcode != FUSE_DESTROY)
                        reply_error(r->grant, r->head->unique,
                                    action                          ? -EINVAL
                                    : r->head->opcode == FUSE_IOCTL ? -ENOTTY
                                                                    : -ENOSYS);
                return;
        }
        const struct fuse_write_in *write = r->head->opcode == FUSE_WRITE ? (const void *)r->argument : NULL;
        bool answers = r->head->opcode != FUSE_FORGET && r->head->opcode != FUSE_BATCH_FORGET;
        pthread_mutex_lock(&w->reply);
        w->unique = answers ? r->head->unique : 0;
        w->opcode = r->head->opcode;
        w->bytes = write && write->write_flags & FUSE_WRITE_CACHE ? write->size : 0;
        w->interrupted = 0;
        pthread_mutex_unlock(&w->reply);
        int result = permitted(r, action);
        if (result == 0 && !(action->what & NO_USE) && !atomic_load(&r->grant->used))
                grant_report_use(r, action->what & CHANGES);
        if (result == 0)
                result = action->answer(r);
        if (answers)
                finish(r, result, action->what & GIVES);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Locks that hold against programs outside too.
 *
 * Theory of operation. flock(2) belongs to what is open, and each open file inside has its own outside: that is all.
 * POSIX locks belong to a process, and the server is one for all programs inside: so each owner (as the kernel numbers
 * it) has an open file description of its own, with locks of the F_OFD kind, which conflict with POSIX locks of
 * outside. Who waits for a lock is parked; a thread of the grant tries again, soon after a lock inside was given back,
 * and every few milliseconds, because nothing tells when one outside was.
 */
#include "source.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#define WAIT_LEAST 2  /* ms between two tries */
#define WAIT_MOST 50
#define WAITING 4096  /* requests that wait in one grant */
#define LAST_BYTE 0x7FFFFFFFFFFFFFFFULL

struct waiting {
        struct waiting *next;
        uint64_t unique;
        struct handle *handle; /* pinned */
        uint64_t node;
        uint32_t pid;
        struct fuse_lk_in in;
};

static struct lock *find_lock(struct node *node, uint64_t owner)
{
        struct lock *lock = node ? node->locks : NULL;
        while (lock && lock->owner != owner)
                lock = lock->next;
        return lock;
}

static void put_lock(struct grant *g, struct lock *lock)
{
        pthread_mutex_lock(&g->lock);
        bool last = --lock->refs == 0;
        pthread_mutex_unlock(&g->lock);
        if (!last)
                return;
        close(lock->fd);
        free(lock);
        atomic_fetch_sub(&g->server->handles, 1);
}

/* The owner's locks on a file, made when there are none. NULL: *result says why. */
static struct lock *get_lock(struct grant *g, struct handle *handle, uint64_t owner, int *result)
{
        pthread_mutex_lock(&g->lock);
        struct lock *lock = find_lock(handle->node, owner);
        bool writes = atomic_load(&g->writable);
        if (lock)
                lock->refs++;
        pthread_mutex_unlock(&g->lock);
        if (lock)
                return lock;
        if (atomic_load(&g->server->handles) >= atomic_load(&g->server->handle_limit)) {
                *result = -ENOLCK;
                return NULL;
        }
        int fd = writes ? reopen(g, handle->fd, O_RDWR) : -EACCES;
        if (fd < 0)
                fd = reopen(g, handle->fd, O_RDONLY);
        if (fd < 0) {
                *result = fd;
                return NULL;
        }
        pthread_mutex_lock(&g->lock);
        lock = find_lock(handle->node, owner);
        if (!lock && handle->node) {
                lock = memory_new(sizeof *lock);
                *lock = (struct lock){.next = handle->node->locks, .owner = owner, .refs = 1, .fd = fd};
                handle->node->locks = lock;
                atomic_fetch_add(&g->server->handles, 1);
                fd = -1;
        }
        if (lock)
                lock->refs++;
        pthread_mutex_unlock(&g->lock);
        if (fd >= 0)
                close(fd);
        *result = -EBADF;
        return lock;
}

static struct flock range_of(const struct fuse_file_lock *lk)
{
        off_t length = lk->end >= LAST_BYTE ? 0 : (off_t)(lk->end - lk->start + 1);
        return (struct flock){
                .l_type = (short)lk->type, .l_whence = SEEK_SET, .l_start = (off_t)lk->start, .l_len = length};
}

/* Takes, changes or gives back a lock without waiting. */
static int try_lock(struct grant *g, struct handle *handle, const struct fuse_lk_in *in, uint32_t pid)
{
        int result = 0;
        if (in->lk_flags & FUSE_LK_FLOCK) {
                int how = in->lk.type == F_RDLCK ? LOCK_SH : in->lk.type == F_WRLCK ? LOCK_EX : LOCK_UN;
                result = flock(handle->fd, how | LOCK_NB) < 0 ? -errno : 0;
        } else {
                if (in->lk.type == F_UNLCK) {
                        pthread_mutex_lock(&g->lock);
                        bool none = !find_lock(handle->node, in->owner);
                        pthread_mutex_unlock(&g->lock);
                        if (none)
                                return 0;
                }
                struct flock range = range_of(&in->lk);
                struct lock *lock = get_lock(g, handle, in->owner, &result);
                if (!lock)
                        return result;
                result = fcntl(lock->fd, F_OFD_SETLK, &range) < 0 ? -errno : 0;
                lock->pid = pid;
                lock->slot = handle->slot;
                put_lock(g, lock);
        }
        if (result == 0)
                pthread_cond_broadcast(&g->changed);
        return result == -EACCES ? -EAGAIN : result;
}

int answer_getlk(struct request *r)
{
        const struct fuse_lk_in *in = (const void *)r->argument;
        struct fuse_lk_out *out = (void *)r->reply;
        struct grant *g = r->grant;
        struct handle *handle = handle_get(g, in->fh, r->head->nodeid);
        if (!handle)
                return -EBADF;
        struct flock range = range_of(&in->lk);
        uint32_t pid = 0;
        pthread_mutex_lock(&g->lock);
        struct lock *own = find_lock(handle->node, in->owner);
        if (own)
                own->refs++;
        for (struct lock *other = handle->node ? handle->node->locks : NULL; other; other = other->next)
                pid = other != own ? other->pid : pid;
        pthread_mutex_unlock(&g->lock);
        int result = fcntl(own ? own->fd : handle->fd, F_OFD_GETLK, &range) < 0 ? -errno : 0;
        if (own)
                put_lock(g, own);
        handle_put(g, handle);
        if (result < 0)
                return result;
        *out = (struct fuse_lk_out){.lk = {.type = (uint32_t)range.l_type}};
        if (range.l_type != F_UNLCK) {
                out->lk.start = (uint64_t)range.l_start;
                out->lk.end = range.l_len ? (uint64_t)(range.l_start + range.l_len - 1) : LAST_BYTE;
                out->lk.pid = range.l_pid == -1 ? pid : 0; /* who is outside has no number inside */
        }
        r->reply_size = sizeof *out;
        return 0;
}

int answer_setlk(struct request *r)
{
        const struct fuse_lk_in *in = (const void *)r->argument;
        struct handle *handle = handle_get(r->grant, in->fh, r->head->nodeid);
        if (!handle)
                return -EBADF;
        int result = try_lock(r->grant, handle, in, r->head->pid);
        handle_put(r->grant, handle);
        return result;
}

static void free_waiting(struct grant *g, struct waiting *w)
{
        handle_put(g, w->handle);
        free(w);
}

/* Tries one after the other, as long as somebody waits. */
static void *wait_for_locks(void *context)
{
        struct grant *g = context;
        long pause = WAIT_LEAST;
        pthread_mutex_lock(&g->lock);
        while (g->waiting) {
                struct waiting *all = g->waiting;
                bool any = false;
                g->waiting = NULL;
                pthread_mutex_unlock(&g->lock);
                for (struct waiting *w = all, *next; w; w = next) {
                        next = w->next;
                        int result = atomic_load(&g->deny) ? -EACCES : try_lock(g, w->handle, &w->in, w->pid);
                        if (result == -EAGAIN) {
                                pthread_mutex_lock(&g->lock);
                                struct waiting **end;
                                for (end = &g->waiting; *end; end = &(*end)->next)
                                        ;
                                w->next = NULL;
                                *end = w;
                                pthread_mutex_unlock(&g->lock);
                                continue;
                        }
                        any = true;
                        if (reply_error(g, w->unique, result) < 0 && result == 0) { /* nobody waits any more */
                                w->in.lk.type = F_UNLCK;
                                try_lock(g, w->handle, &w->in, w->pid);
                        }
                        free_waiting(g, w);
                }
                struct timespec end;
                pause = any ? WAIT_LEAST : pause < WAIT_MOST ? pause * 2 : WAIT_MOST;
                clock_gettime(CLOCK_MONOTONIC, &end);
                end.tv_nsec += pause * 1000000;
                end.tv_sec += end.tv_nsec / 1000000000;
                end.tv_nsec %= 1000000000;
                pthread_mutex_lock(&g->lock);
                if (g->waiting && !atomic_load(&g->deny))
                        pthread_cond_timedwait(&g->changed, &g->lock, &end);
        }
        g->waiter = false;
        pthread_mutex_unlock(&g->lock);
        atomic_fetch_sub(&g->server->threads, 1);
        grant_release(g);
        return NULL;
}

/* Starts the thread that tries again. Lock held. */
static bool start_waiter(struct grant *g)
{
        pthread_t thread;
        if (g->waiter)
                return true;
        grant_hold(g);
        atomic_fetch_add(&g->server->threads, 1);
        g->waiter = thread_start(wait_for_locks, g, &thread) == 0;
        if (g->waiter) {
                pthread_detach(thread);
                return true;
        }
        atomic_fetch_sub(&g->server->threads, 1);
        atomic_fetch_sub(&g->refs, 1);
        return false;
}

int answer_setlkw(struct request *r)
{
        const struct fuse_lk_in *in = (const void *)r->argument;
        struct grant *g = r->grant;
        struct handle *handle = handle_get(g, in->fh, r->head->nodeid);
        if (!handle)
                return -EBADF;
        int result = try_lock(g, handle, in, r->head->pid);
        if (result != -EAGAIN) {
                handle_put(g, handle);
                return result;
        }
        struct waiting *waiting = memory_new(sizeof *waiting), **end;
        *waiting = (struct waiting){.unique = r->head->unique, .handle = handle, .pid = r->head->pid, .in = *in};
        unsigned count = 0;
        pthread_mutex_lock(&g->lock);
        for (end = &g->waiting; *end; end = &(*end)->next)
                count++;
        r->parked = count < WAITING && !atomic_load(&g->deny) && start_waiter(g);
        if (r->parked)
                *end = waiting;
        pthread_mutex_unlock(&g->lock);
        if (r->parked)
                return 0;
        free_waiting(g, waiting);
        return -ENOLCK;
}

bool locks_interrupt(struct grant *g, uint64_t unique)
{
        struct waiting *found = NULL, **at;
        pthread_mutex_lock(&g->lock);
        for (at = &g->waiting; *at && (*at)->unique != unique; at = &(*at)->next)
                ;
        if (*at) {
                found = *at;
                *at = found->next;
        }
        pthread_mutex_unlock(&g->lock);
        if (!found)
                return false;
        reply_error(g, unique, -EINTR);
        free_waiting(g, found);
        return true;
}

void locks_refuse(struct grant *g)
{
        pthread_mutex_lock(&g->lock);
        struct waiting *all = g->waiting;
        g->waiting = NULL;
        pthread_cond_broadcast(&g->changed);
        pthread_mutex_unlock(&g->lock);
        for (struct waiting *next; all; all = next) {
                next = all->next;
                reply_error(g, all->unique, -EACCES);
                free_waiting(g, all);
        }
}

/* Takes what `gone` says of from a node and gives it back. */
static void drop(struct grant *g, struct handle *handle, bool (*gone)(const struct lock *lock, uint64_t key),
                 uint64_t key)
{
        struct lock *dropped = NULL;
        pthread_mutex_lock(&g->lock);
        for (struct lock **at = handle->node ? &handle->node->locks : NULL; at && *at;) {
                struct lock *lock = *at;
                if (!gone(lock, key)) {
                        at = &lock->next;
                        continue;
                }
                *at = lock->next;
                lock->next = dropped;
                dropped = lock;
        }
        pthread_mutex_unlock(&g->lock);
        for (struct lock *next; dropped; dropped = next) {
                next = dropped->next;
                struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
                fcntl(dropped->fd, F_OFD_SETLK, &all); /* others may still use the descriptor */
                put_lock(g, dropped);
                pthread_cond_broadcast(&g->changed);
        }
}

static bool is_owners(const struct lock *lock, uint64_t owner)
{
        return lock->owner == owner;
}

static bool is_handles(const struct lock *lock, uint64_t slot)
{
        return lock->slot == slot;
}

void locks_drop(struct grant *g, struct handle *handle, uint64_t owner)
{
        drop(g, handle, is_owners, owner);
}

/* What is opened for reading alone is not asked at close(2) (FOPEN_NOFLUSH): its locks end with it. */
void locks_drop_handle(struct grant *g, struct handle *handle)
{
        if (!handle->writable)
                drop(g, handle, is_handles, handle->slot);
        pthread_cond_broadcast(&g->changed); /* flock(2) ends with it */
}

void locks_end(struct grant *g, struct node *node)
{
        for (struct lock *lock = node->locks, *next; lock; lock = next) {
                next = lock->next;
                close(lock->fd);
                free(lock);
                atomic_fetch_sub(&g->server->handles, 1);
        }
        node->locks = NULL;
}

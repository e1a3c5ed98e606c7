// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Taking a grant back, and changing one.
 *
 * Theory of operation. Closing the device makes every later request fail, but what the kernel has in its pages would
 * stay readable through mappings and open files. So, in this order:
 *
 *      1. `deny`: from now on requests are refused. Those that are being worked on are waited for, for DRAIN; one that
 *         hangs longer is answered in its worker's place, and its worker's answer thrown away. After each worker's
 *         `reply` lock was taken once nothing read before is handed out any more.
 *      2. The kernel is told to drop what it has of every file. That unmaps the pages, and writes those that were
 *         changed through a mapping: these writes are the only requests that are still done, each within FLUSH, else
 *         they are lost and told so. The kernel may wait for a page that a request has locked: so workers go on
 *         answering all the while.
 *      3. The device is closed.
 *
 * Only files that were open can have pages; attributes are dropped of those that the kernel was told within the time
 * for which it believes them. All this is a thread's of its own: the main thread goes on.
 */
#include "source.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/uio.h>
#include <time.h>

#define DRAIN 200000 /* us for which requests that are being worked on are waited for */

static void wait_a_little(struct grant *g)
{
        struct timespec end;
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_nsec += 1000000;
        end.tv_sec += end.tv_nsec / 1000000000;
        end.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&g->changed, &g->lock, &end);
}

/* Is a worker at something that it took before `start`, and that nobody answered in its place? Lock held. */
static bool is_busy(struct worker *w, long long start)
{
        long long since = atomic_load(&w->since);
        pthread_mutex_lock(&w->reply);
        bool unanswered = w->unique;
        pthread_mutex_unlock(&w->reply);
        return since && since <= start && unanswered;
}

/* Waits for the requests that are being worked on. What takes too long is answered with `error`, unless that is 0.
 * Returns how many hang. */
static unsigned drain(struct grant *g, int error)
{
        long long start = now_us();
        unsigned stuck = 0;
        pthread_mutex_lock(&g->lock);
        for (bool busy = true; busy && now_us() - start < DRAIN;) {
                busy = g->waiter && error;
                for (struct worker *w = g->workers; w; w = w->next)
                        busy |= is_busy(w, start);
                if (busy)
                        wait_a_little(g);
        }
        for (struct worker *w = g->workers; w; w = w->next) {
                bool hangs = is_busy(w, start);
                stuck += hangs;
                if (error && hangs)
                        worker_claim(w, error);
                pthread_mutex_lock(&w->reply);
                pthread_mutex_unlock(&w->reply);
        }
        pthread_mutex_unlock(&g->lock);
        return stuck;
}

struct drops {
        uint64_t *ids;
        size_t count, room, pages; /* the first `pages` of them may have some */
};

/* What the kernel has of our files. */
static struct drops collect(struct grant *g, bool pages, bool attributes)
{
        struct drops d = {0};
        int64_t now = now_ms();
        uint32_t cursor = 0;
        pthread_mutex_lock(&g->lock);
        for (struct node *node; pages && (node = node_next(&g->tree, &cursor));)
                if (node->touched)
                        *vector_add(d.ids, d.count, d.room) = node_id(node);
        d.pages = d.count;
        cursor = 0;
        for (struct node *node; attributes && (node = node_next(&g->tree, &cursor));)
                if (!(pages && node->touched) && now - node->told <= KEPT_SECONDS * 1000 + 100)
                        *vector_add(d.ids, d.count, d.room) = node_id(node);
        pthread_mutex_unlock(&g->lock);
        return d;
}

static void drop(struct grant *g, const struct drops *d)
{
        struct fuse_notify_inval_inode_out what = {0};
        struct fuse_out_header head = {.len = sizeof head + sizeof what, .error = FUSE_NOTIFY_INVAL_INODE};
        struct iovec parts[2] = {{&head, sizeof head}, {&what, sizeof what}};
        for (size_t i = 0; i < d->count; i++) {
                what.ino = d->ids[i];
                what.off = i < d->pages ? 0 : -1; /* -1: attributes alone */
                (void)!writev(g->device, parts, 2); /* ENOENT: the kernel forgot it meanwhile */
        }
        free(d->ids);
}

/* Somebody has to answer while the kernel drops pages. */
static void ensure_worker(struct grant *g)
{
        pthread_mutex_lock(&g->lock);
        bool one = false;
        for (struct worker *w = g->workers; w; w = w->next)
                one |= !atomic_load(&w->since);
        if (!one)
                g->starved = worker_start(g, false) < 0; /* then the watch tries again */
        pthread_mutex_unlock(&g->lock);
}

static void take_back(struct grant *g)
{
        struct grant_done done = {0};
        g->denied = now_us();
        atomic_store(&g->deny, DENY_NEW);
        locks_refuse(g);
        done.stuck = drain(g, -EACCES);
        struct drops d = collect(g, true, true);
        if (d.pages)
                ensure_worker(g);
        drop(g, &d);
        atomic_store(&g->deny, DENY_ALL);
        drain(g, -EACCES);
        pthread_mutex_lock(&g->lock);
        done.files = g->handle_count;
        pthread_mutex_unlock(&g->lock);
        grant_close_device(g);
        done.lost = atomic_load(&g->lost);
        pthread_mutex_lock(&g->lock);
        server_finish(g, &(struct grant_message){.type = GRANT_DONE, .done = done});
        pthread_mutex_unlock(&g->lock);
}

static bool shows_the_same(const struct grant_add *a, const struct grant_add *b)
{
        static const uint32_t shown = GRANT_MAPPED | GRANT_GROUP | GRANT_NOEXEC;
        return (a->flags & shown) == (b->flags & shown) && a->uid == b->uid && a->gid == b->gid &&
               memcmp(a->uids, b->uids, sizeof a->uids) == 0 && memcmp(a->gids, b->gids, sizeof a->gids) == 0;
}

static void set(struct grant *g, const struct grant_add *wanted)
{
        pthread_mutex_lock(&g->lock);
        struct grant_add before = g->show;
        uint32_t fixed = before.flags & (GRANT_FILE | GRANT_ASK);
        bool closes = before.flags & GRANT_RW && !(wanted->flags & GRANT_RW);
        atomic_store(&g->flushing, closes);
        g->show = *wanted;
        g->show.flags = (wanted->flags & ~(uint32_t)(GRANT_FILE | GRANT_ASK)) | fixed;
        atomic_store(&g->writable, wanted->flags & GRANT_RW);
        pthread_mutex_unlock(&g->lock);
        if (closes) /* what was changed through mappings goes out, as in a revoke */
                drain(g, 0);
        struct drops d = collect(g, closes, closes || !shows_the_same(&before, wanted));
        if (d.pages)
                ensure_worker(g);
        drop(g, &d);
        atomic_store(&g->flushing, false);
        if (closes)
                drain(g, 0);
}

static void *run(void *context)
{
        struct grant *g = context;
        pthread_mutex_lock(&g->lock);
        while (g->set_wanted || (g->revoke_wanted && !g->finished)) {
                bool last = g->revoke_wanted;
                struct grant_add wanted = g->wanted;
                unsigned times = g->set_wanted;
                g->set_wanted = 0;
                pthread_mutex_unlock(&g->lock);
                struct grant_message changed = {.word = GRANT_WORD, .type = GRANT_CHANGED, .id = g->id,
                                                .status = last ? -ECANCELED : 0};
                if (!last)
                        set(g, &wanted);
                while (times--)
                        server_post(g->server, &changed);
                if (last)
                        take_back(g);
                pthread_mutex_lock(&g->lock);
        }
        atomic_store(&g->job, false);
        pthread_mutex_unlock(&g->lock);
        atomic_fetch_sub(&g->server->threads, 1);
        grant_release(g);
        return NULL;
}

/* Without a thread it is done here and now, whatever it takes: taking back does not fail. */
void job_start(struct grant *g)
{
        pthread_t thread;
        pthread_mutex_lock(&g->lock);
        bool runs = atomic_exchange(&g->job, true);
        pthread_mutex_unlock(&g->lock);
        if (runs)
                return;
        grant_hold(g);
        atomic_fetch_add(&g->server->threads, 1);
        if (thread_start(run, g, &thread) == 0)
                pthread_detach(thread);
        else
                run(g);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The threads that answer for a grant.
 *
 * Theory of operation. Waking a sleeping processor takes longer than answering: so one worker serves as long as one
 * suffices, and looks for the next request for SPIN before it sleeps, as long as processors are idle. Another is
 * started when requests queue up, and by the main thread's watch when all are held up longer than STUCK. When WORKERS
 * are held up, the file system outside is dead: a few *hurried* ones refuse what needs it (EIO), so that programs
 * inside can be killed and a revoke works. A request that is interrupted while its worker hangs is answered EINTR in
 * its place.
 */
#include "source.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

#define SPIN 50             /* us */
#define LOAD_AGE 5000       /* us for which the number of running tasks is believed */
#define IDLE 1000           /* ms after which a worker ends */
#define IDLE_CROWDED 50     /* the same when there are more threads than CROWDED */
#define CROWDED 128
#define THREADS 2048        /* of the process */
#define WORKERS 16          /* of a grant */
#define HURRIED 4
#define QUEUED 64           /* requests in a row that had not to be waited for: one worker does not suffice */
#define STUCK 50000         /* us */
#define INTERRUPTED 500000  /* us after which an interrupted request is answered in its worker's place */
#define FLUSH 1000000       /* us that one write of mapped pages may take in a revoke */
#define FLUSH_ALL 5000000   /* us that all of them may take */
#define STACK 131072
#define WAKE SIGUSR2

int64_t now_ms(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

long long now_us(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

int thread_start(void *(*run)(void *), void *context, pthread_t *thread)
{
        pthread_attr_t small;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, STACK);
        int result = pthread_create(thread, &small, run, context);
        pthread_attr_destroy(&small);
        return -result;
}

/* Are there processors that nobody wants? Then spinning takes nothing from anybody. The fourth word of
 * /proc/loadavg is "running/all". Those who ask sleep while they wait: what runs beside this thread is somebody else's
 * work. */
static bool has_idle_processors(const struct server *s)
{
        char text[128];
        cleanup_close int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (got <= 0)
                return false;
        text[got] = '\0';
        const char *running = text;
        for (int i = 0; i < 3 && running; i++)
                running = strchr(running + 1, ' ');
        return running && atol(running) <= s->processors / 2;
}

struct spin {
        long long checked;
        bool allowed;
};

/* One look at the device. Returns the size of a request, -EAGAIN, or 0 at the end of the connection. */
static int take(struct worker *w)
{
        struct grant *g = w->grant;
        for (;;) {
                if (atomic_load(&g->ended))
                        return 0;
                ssize_t got = read(g->device, w->room, REQUEST_ROOM);
                if (got >= (ssize_t)sizeof(struct fuse_in_header))
                        return (int)got;
                if (got < 0 && errno == EAGAIN)
                        return -EAGAIN;
                if (got >= 0 ||
                    (errno != EINTR && errno != ENOENT)) /* ENOENT: it was interrupted before it was taken */
                        return 0;
        }
}

/* The next request: its size, 0 at the end, -EAGAIN when there was none for a while. *waited: it was not there. */
static int next_request(struct worker *w, struct spin *spin, bool *waited)
{
        struct server *s = w->grant->server;
        sigset_t all_but_wake;
        *waited = false;
        for (;;) {
                int got = take(w);
                if (got != -EAGAIN)
                        return got;
                *waited = true;
                long long start = now_us();
                if (start - spin->checked > LOAD_AGE) {
                        spin->checked = start;
                        spin->allowed = has_idle_processors(s);
                }
                while (spin->allowed && now_us() - start < SPIN) {
                        got = take(w);
                        if (got != -EAGAIN)
                                return got;
                }
                int idle = atomic_load(&s->threads) > CROWDED ? IDLE_CROWDED : IDLE;
                struct timespec patience = {idle / 1000, idle % 1000 * 1000000};
                struct pollfd fd = {.fd = w->grant->device, .events = POLLIN};
                sigemptyset(&all_but_wake); /* the only one that is sent to threads, and blocked but for here */
                int ready = ppoll(&fd, 1, &patience, &all_but_wake);
                if (ready == 0)
                        return -EAGAIN;
                if (ready < 0 && errno != EINTR)
                        return 0;
        }
}

static void serve_one(struct worker *w, int size)
{
        const struct fuse_in_header *head = (const void *)w->room;
        struct request r = {.grant = w->grant, .worker = w, .head = head, .argument = w->room + sizeof *head,
                            .reply = w->room + ARGUMENT_ROOM};
        size_t used = head->len < (uint32_t)size ? head->len : (uint32_t)size;
        r.size = used - (used < sizeof *head ? used : sizeof *head);
        atomic_store(&w->since, now_us());
        dispatch(&r);
        atomic_store(&w->since, 0);
        if (atomic_load(&w->grant->job)) {
                pthread_mutex_lock(&w->grant->lock);
                pthread_cond_broadcast(&w->grant->changed);
                pthread_mutex_unlock(&w->grant->lock);
        }
}

/* The worker leaves its grant. The last one gives the device back to the main thread. `ended`: there is nothing more to
 * read. */
static void leave(struct worker *w, bool ended)
{
        struct grant *g = w->grant;
        struct worker **at;
        kept_expire(g, false);
        pthread_mutex_lock(&g->lock);
        for (at = &g->workers; *at != w; at = &(*at)->next)
                ;
        *at = w->next;
        bool last = --g->worker_count == 0;
        if (ended && !atomic_load(&g->ended) && !atomic_load(&g->job)) { /* unmounted: nobody told us to close it */
                atomic_store(&g->ended, true);
                server_finish(g, &(struct grant_message){.type = GRANT_GONE});
        }
        if (last && !atomic_load(&g->ended) && !atomic_load(&g->deny)) {
                struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = g->id};
                epoll_ctl(g->server->events, EPOLL_CTL_MOD, g->device, &event);
        }
        pthread_cond_broadcast(&g->changed);
        pthread_mutex_unlock(&g->lock);
        if (last)
                kept_expire(g, true);
        munmap(w->room, REQUEST_ROOM);
        pthread_mutex_destroy(&w->reply);
        free(w);
        atomic_fetch_sub(&g->server->threads, 1);
        grant_release(g);
}

static bool others_hang(struct grant *g)
{
        long long now = now_us();
        bool all = true;
        pthread_mutex_lock(&g->lock);
        for (struct worker *w = g->workers; w; w = w->next) {
                long long since = atomic_load(&w->since);
                all &= w->hurried || (since && now - since > STUCK);
        }
        pthread_mutex_unlock(&g->lock);
        return all;
}

static void *work(void *context)
{
        struct worker *w = context;
        struct grant *g = w->grant;
        struct spin spin = {0};
        int in_row = 0, got;
        int64_t expired = now_ms();
        bool waited;
        while ((got = next_request(w, &spin, &waited)) > 0 || (got == -EAGAIN && atomic_load(&g->job))) {
                if (got < 0)
                        continue; /* the job needs somebody who answers */
                in_row = waited ? 0 : in_row + 1;
                if (in_row == QUEUED) {
                        pthread_mutex_lock(&g->lock);
                        if (g->worker_count < g->server->processors)
                                worker_start(g, false);
                        pthread_mutex_unlock(&g->lock);
                }
                serve_one(w, got);
                if (now_ms() - expired > KEPT_SECONDS * 1000) {
                        kept_expire(g, false);
                        expired = now_ms();
                }
                if (w->hurried && !others_hang(g))
                        break;
        }
        leave(w, got == 0);
        return NULL;
}

int worker_start(struct grant *g, bool hurried)
{
        struct server *s = g->server;
        if (atomic_load(&g->ended))
                return -ENODEV;
        if (atomic_fetch_add(&s->threads, 1) >= THREADS) {
                atomic_fetch_sub(&s->threads, 1);
                return -EAGAIN;
        }
        struct worker *w = memory_new(sizeof *w);
        w->grant = g;
        w->hurried = hurried;
        pthread_mutex_init(&w->reply, NULL);
        w->room = mmap(NULL, REQUEST_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        int result = w->room == MAP_FAILED ? -ENOMEM : 0;
        w->next = g->workers;
        if (result == 0) {
                grant_hold(g);
                g->workers = w;
                g->worker_count++;
                result = thread_start(work, w, &w->thread);
        }
        if (result == 0) {
                pthread_detach(w->thread);
                return 0;
        }
        if (w->room != MAP_FAILED) {
                g->workers = w->next;
                g->worker_count--;
                atomic_fetch_sub(&g->refs, 1); /* the caller has another */
                munmap(w->room, REQUEST_ROOM);
        }
        pthread_mutex_destroy(&w->reply);
        free(w);
        atomic_fetch_sub(&s->threads, 1);
        return result;
}

bool worker_claim(struct worker *w, int error)
{
        pthread_mutex_lock(&w->reply);
        bool mine = w->unique;
        if (mine) {
                reply_error(w->grant, w->unique, error);
                atomic_fetch_add(&w->grant->lost, w->bytes);
                w->unique = 0;
        }
        pthread_mutex_unlock(&w->reply);
        return mine;
}

void worker_interrupt(struct request *r, uint64_t unique)
{
        struct grant *g = r->grant;
        bool found = locks_interrupt(g, unique);
        pthread_mutex_lock(&g->lock);
        for (struct worker *w = g->workers; w && !found; w = w->next) {
                pthread_mutex_lock(&w->reply);
                found = w->unique == unique;
                if (found)
                        w->interrupted = now_us();
                pthread_mutex_unlock(&w->reply);
        }
        pthread_mutex_unlock(&g->lock);
        if (!found) /* a worker may have taken it this moment: the kernel is to say it again; it does not when it is
                       answered */
                reply_error(g, r->head->unique, -EAGAIN);
}

void worker_watch(struct grant *g)
{
        long long now = now_us();
        bool all_stuck = true;
        unsigned hurried = 0;
        pthread_mutex_lock(&g->lock);
        int deny = atomic_load(&g->deny);
        for (struct worker *w = g->workers; w; w = w->next) {
                long long since = atomic_load(&w->since);
                all_stuck &= since && now - since > STUCK;
                hurried += w->hurried;
                if (!since)
                        continue;
                pthread_mutex_lock(&w->reply);
                bool interrupted = w->interrupted && now - w->interrupted > INTERRUPTED;
                bool late = w->bytes && (deny || atomic_load(&g->flushing)) && now - since > FLUSH;
                pthread_mutex_unlock(&w->reply);
                if (interrupted)
                        worker_claim(w, -EINTR);
                if (late && worker_claim(w, -EIO)) {
                        atomic_store(&g->flushing, false);
                        if (deny)
                                atomic_store(&g->deny, DENY_ALL);
                }
        }
        if (deny == DENY_NEW && now - g->denied > FLUSH_ALL)
                atomic_store(&g->deny, DENY_ALL);
        bool starved = g->starved && !g->worker_count;
        if (starved || (g->worker_count && all_stuck && g->worker_count < WORKERS + HURRIED))
                g->starved = worker_start(g, g->worker_count >= WORKERS && hurried < HURRIED) < 0;
        pthread_mutex_unlock(&g->lock);
}

void grant_close_device(struct grant *g)
{
        atomic_store(&g->ended, true);
        dup2(g->server->nothing,
             g->device); /* the number stays ours: whoever comes back from a dead file system writes to it */
        pthread_mutex_lock(&g->lock);
        for (;;) {
                bool touched = false;
                for (struct worker *w = g->workers; w; w = w->next) {
                        pthread_mutex_lock(&w->reply); /* not while one writes */
                        pthread_mutex_unlock(&w->reply);
                        if (!atomic_load(&w->since)) {
                                touched = true;
                                pthread_kill(w->thread, WAKE);
                        }
                }
                if (!touched)
                        break;
                struct timespec end;
                clock_gettime(CLOCK_MONOTONIC, &end);
                end.tv_nsec += 1000000;
                end.tv_sec += end.tv_nsec / 1000000000;
                end.tv_nsec %= 1000000000;
                pthread_cond_timedwait(&g->changed, &g->lock, &end);
        }
        pthread_mutex_unlock(&g->lock);
}

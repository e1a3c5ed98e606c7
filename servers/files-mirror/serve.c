// SPDX-License-Identifier: GPL-3.0-or-later
/* The threads that answer: see serve.h. */
#include "serve.h"
#include "hold.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#define LOAD_AGE 5000 /* us for which the number of running tasks is believed */

struct server {
        struct mirror *m;
        int woken;           /* eventfd: the watchdog has something to watch */
        atomic_int threads;
        atomic_bool watched; /* the watchdog is awake */
        atomic_bool ended;
        _Atomic uint64_t request[SERVE_THREADS]; /* which that is, for the kernel */
        _Atomic uint64_t node[SERVE_THREADS];    /* that it asks about */
        atomic_llong since[SERVE_THREADS]; /* us; when a thread took the request that it works on; 0: none */
        long processors;
};

static _Thread_local struct keeps *keeps_of_thread;

struct keeps *thread_keeps(void)
{
        return keeps_of_thread;
}

void keeps_start(struct keeps *keeps)
{
        *keeps = (struct keeps){.buffer = memory_new(SERVE_ROOM)};
        directories_start(&keeps->directories);
        keeps_of_thread = keeps;
}

void keeps_end(struct keeps *keeps)
{
        directories_end(&keeps->directories);
        for (size_t i = 0; i < KEPT_FILES; i++)
                if (keeps->files[i].id != NODE_NONE)
                        close(keeps->files[i].fd);
        for (size_t i = 0; i < KEPT_LISTINGS; i++)
                if (keeps->listings[i].id != NODE_NONE)
                        close(keeps->listings[i].fd);
        free(keeps->buffer);
        keeps_of_thread = NULL;
}

static long seconds(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
        return t.tv_sec;
}

bool keeps_expire(struct keeps *keeps)
{
        long second = keeps->second = seconds();
        size_t left = directories_expire(&keeps->directories, second);
        for (size_t i = 0; i < KEPT_FILES; i++) {
                struct kept_file *slot = &keeps->files[i];
                if (slot->id != NODE_NONE && second - slot->opened > KEPT_AGE) {
                        close(slot->fd);
                        slot->id = NODE_NONE;
                }
                left += slot->id != NODE_NONE;
        }
        for (size_t i = 0; i < KEPT_LISTINGS; i++) {
                struct kept_listing *slot = &keeps->listings[i];
                if (slot->id != NODE_NONE && second - slot->opened > KEPT_AGE) {
                        close(slot->fd);
                        slot->id = NODE_NONE;
                }
                left += slot->id != NODE_NONE;
        }
        return left > 0;
}

static long long microseconds(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* How many tasks run or want to: the fourth word of /proc/loadavg is "running/all". Negative: unknown. */
static long running(void)
{
        char text[128], *word;
        cleanup_close int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (got <= 0)
                return -1;
        text[got] = '\0';
        word = text;
        for (int i = 0; i < 3 && word; i++)
                word = strchr(word + 1, ' ');
        return word ? atol(word) : -1;
}

/* Are there processors that nobody wants? Then spinning takes nothing from anybody. Those who ask sleep while they
 * wait, so what runs beside this thread is somebody else's work. */
static bool has_idle_processors(const struct server *s)
{
        long count = running();
        return count >= 0 && count <= s->processors / 2;
}

bool serve_is_quiet(struct mirror *m)
{
        const struct server *s = atomic_load(&m->server);
        return s && running() <= s->processors; /* this thread, and perhaps the lister */
}

struct spin {
        long long checked;
        bool allowed;
};

/* The next request. Returns its size, 0 at the end, -EAGAIN when there was none for `patience` ms. *waited: it was
 * not there. */
static int next_request(struct server *s, struct spin *spin, struct fuse_buf *buffer, int patience, bool *waited)
{
        struct fuse_session *session = s->m->session;
        *waited = false;
        for (;;) {
                int got = fuse_session_receive_buf(session, buffer);
                if (got != -EAGAIN && got != -EINTR)
                        return got > 0 ? got : 0;
                *waited = true;
                long long start = microseconds();
                if (start - spin->checked > LOAD_AGE) {
                        spin->checked = start;
                        spin->allowed = has_idle_processors(s);
                }
                while (spin->allowed && microseconds() - start < SERVE_SPIN) {
                        got = fuse_session_receive_buf(session, buffer);
                        if (got != -EAGAIN && got != -EINTR)
                                return got > 0 ? got : 0;
                }
                struct pollfd fd = {.fd = fuse_session_fd(session), .events = POLLIN};
                int ready = poll(&fd, 1, atomic_load(&s->m->held_count) ? HOLD_TIME : patience);
                if (ready == 0)
                        return -EAGAIN;
                if (ready < 0 && errno != EINTR)
                        return 0;
        }
}

static void answer_all(struct server *s, int number);

struct extra {
        struct server *server;
        int number;
};

static void *extra_thread(void *context)
{
        struct extra extra = *(struct extra *)context;
        free(context);
        answer_all(extra.server, extra.number);
        atomic_store(&extra.server->since[extra.number], 0);
        atomic_fetch_sub(&extra.server->threads, 1);
        return NULL;
}

/* Starts one more thread, if there may be one. */
static void start_another(struct server *s)
{
        for (int i = 1; i < SERVE_THREADS; i++) {
                long long free_slot = 0;
                if (!atomic_compare_exchange_strong(&s->since[i], &free_slot, -1)) /* -1: taken, without a request */
                        continue;
                struct extra *extra = memory_new(sizeof *extra);
                *extra = (struct extra){s, i};
                pthread_attr_t detached;
                pthread_t thread;
                pthread_attr_init(&detached);
                pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
                atomic_fetch_add(&s->threads, 1);
                if (pthread_create(&thread, &detached, extra_thread, extra) != 0) {
                        atomic_fetch_sub(&s->threads, 1);
                        atomic_store(&s->since[i], 0);
                        free(extra);
                }
                pthread_attr_destroy(&detached);
                return;
        }
}

static void answer_all(struct server *s, int number)
{
        struct keeps keeps;
        struct fuse_buf buffer = {0};
        struct spin spin = {0};
        int in_row = 0;
        bool waited, open = true;
        keeps_start(&keeps);
        while (!fuse_session_exited(s->m->session)) {
                int got = next_request(s, &spin, &buffer, number || open ? SERVE_IDLE : -1, &waited);
                if (seconds() != keeps.second)
                        open = keeps_expire(&keeps);
                bool held = atomic_load(&s->m->held_count) > 0;
                if (held)
                        hold_release(s->m, NODE_NONE);
                if (got == -EAGAIN && (number == 0 || held))
                        continue;
                open = true;
                if (got == 0)
                        fuse_session_exit(s->m->session);
                if (got <= 0)
                        break;
                if ((size_t)got >= sizeof(struct fuse_in_header)) {
                        const struct fuse_in_header *head = buffer.mem;
                        atomic_store(&s->request[number], head->unique);
                        atomic_store(&s->node[number], head->nodeid);
                }
                in_row = waited ? 0 : in_row + 1;
                if (in_row == SERVE_QUEUED && atomic_load(&s->threads) < s->processors)
                        start_another(s);
                atomic_store(&s->since[number],
                             microseconds()); /* before it looks whether the dog is awake: as watchdog() */
                if (!atomic_load(&s->watched) && !atomic_exchange(&s->watched, true))
                        eventfd_write(s->woken, 1);
                fuse_session_process_buf(s->m->session, &buffer);
                atomic_store_explicit(&s->since[number], -1, memory_order_relaxed);
        }
        free(buffer.mem);
        keeps_end(&keeps);
}

/* Starts a thread when every one is held up. Sleeps when nothing was asked for a while. */
static void *watchdog(void *context)
{
        struct server *s = context;
        int quiet = 0;
        bool awake = false;
        while (!atomic_load(&s->ended)) {
                struct pollfd fd = {.fd = s->woken, .events = POLLIN};
                if (poll(&fd, 1, awake ? SERVE_STUCK : -1) > 0) {
                        eventfd_t count;
                        eventfd_read(s->woken, &count);
                }
                long long time = microseconds();
                bool all_stuck = true, any = false;
                for (int i = 0; i < SERVE_THREADS; i++) {
                        long long since = atomic_load(&s->since[i]);
                        any |= since > 0;
                        all_stuck &= since == 0 || (since > 0 && time - since > SERVE_STUCK * 1000LL);
                }
                if (any && all_stuck)
                        start_another(s);
                quiet = any ? 0 : quiet + 1;
                awake = quiet <= SERVE_IDLE / SERVE_STUCK;
                if (awake)
                        continue;
                atomic_store(&s->watched, false);
                /* A request that was taken in between found the dog awake. */
                for (int i = 0; i < SERVE_THREADS; i++)
                        awake |= atomic_load(&s->since[i]) > 0;
                if (awake)
                        atomic_store(&s->watched, true);
                quiet = 0;
        }
        return NULL;
}

bool serve_is_held_up(struct mirror *m, uint64_t node, int patience)
{
        struct server *s = atomic_load(&m->server);
        for (int tries = 0; s; tries++) {
                bool any = false;
                for (int i = 0; i < SERVE_THREADS; i++)
                        any |= atomic_load(&s->since[i]) > 0 && atomic_load(&s->node[i]) == node;
                if (!any || tries >= patience)
                        return any;
                poll(NULL, 0, 1);
        }
        return false;
}

void serve_give_up(struct mirror *m)
{
        struct server *s = atomic_load(&m->server);
        if (!s)
                return;
        fuse_session_exit(m->session);
        for (int i = 0; i < SERVE_THREADS; i++) {
                struct fuse_out_header head = {.len = sizeof head,
                                               .error = -EIO,
                                               .unique = atomic_load(&s->request[i])};
                if (atomic_load(&s->since[i]) > 0)
                        (void)!write(fuse_session_fd(m->session), &head, sizeof head);
        }
}

static void end_now(int number)
{
        (void)number;
        _exit(0);
}

void serve(struct mirror *m)
{
        struct server s = {.m = m, .processors = sysconf(_SC_NPROCESSORS_ONLN), .threads = 1};
        int device = fuse_session_fd(m->session);
        fcntl(device, F_SETFL, fcntl(device, F_GETFL) | O_NONBLOCK);
        s.woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        pthread_t dog;
        atomic_store(&s.since[0], -1);
        bool guarded = s.woken >= 0 && pthread_create(&dog, NULL, watchdog, &s) == 0;
        atomic_store(&m->server, &s);
        answer_all(&s, 0);
        atomic_store(&s.ended, true);
        if (guarded) {
                eventfd_write(s.woken, 1);
                pthread_join(dog, NULL);
        }
        /* A thread that is held up by a dead file system is not waited for, here or anywhere: the process ends. */
        signal(SIGALRM, end_now);
        alarm(SERVE_END);
        while (atomic_load(&s.threads) > 1)
                poll(NULL, 0, 10);
        atomic_store(&m->server, NULL);
        hold_end(m);
        if (s.woken >= 0)
                close(s.woken);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* The warden's loop, its beginning and its end: see warden.h and run.h. */
#include "warden/inner.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define BEGIN_TIME 30000 /* ms in which BEGIN has to come: whoever was to send it was killed */
#define POLICY_BOOT 0x100 /* beside a restart_policy: it is the environment's own init */

/* From the maker, in this order: one birth, then one birth_program for each of `run:`. */
struct birth {
        int32_t init;
        uint32_t programs, waits, over;
        uint64_t memory;
        char name[128];
};
struct birth_program {
        uint32_t policy;
        char name[128], title[1024];
};

/* What runs, for people: cut, and safe to show. */
static char *title_of(char *const *argv, size_t size)
{
        struct text t = {0};
        for (size_t i = 0; argv[i] && t.length < size; i++) {
                text_add(&t, i ? " " : "");
                text_add_escaped(&t, argv[i]);
        }
        if (t.length >= size)
                memcpy(t.data + size - 4, "...", 4);
        return t.data;
}

int warden_hand_over(int socket, const struct handover *h, struct error *err)
{
        const struct environment *e = h->environment;
        struct birth birth = {.init = h->init,
                              .programs = (uint32_t)(e->program_count + (e->init != NULL)),
                              .waits = h->waits,
                              .over = (uint32_t)e->limits.over,
                              .memory = h->memory};
        snprintf(birth.name, sizeof birth.name, "%s", h->name);
        const int fds[] = {h->directory, h->init_socket, h->listening, h->lock};
        int result = host_send(socket, &birth, sizeof birth, fds, 4);
        for (size_t i = 0; i < e->program_count && result == 0; i++) {
                const struct run_program *p = &e->programs[i];
                struct birth_program message = {.policy = (uint32_t)p->restart};
                cleanup_free char *title = title_of(p->argv, sizeof message.title);
                snprintf(message.name, sizeof message.name, "%s", p->name);
                snprintf(message.title, sizeof message.title, "%s", title);
                cleanup_close int payload = host_payload(p->argv, err);
                if (payload < 0)
                        return payload;
                do {
                        result = host_send(socket, &message, sizeof message, &payload, 1);
                        if (result == -EAGAIN) {
                                struct pollfd wait = {.fd = socket, .events = POLLOUT};
                                poll(&wait, 1, 1000);
                        }
                } while (result == -EAGAIN);
        }
        if (result == 0 && e->init) {
                struct birth_program message = {.policy = POLICY_BOOT, .name = "init"};
                cleanup_free char *title = title_of(e->init, sizeof message.title);
                snprintf(message.title, sizeof message.title, "%s", title);
                cleanup_close int payload = host_boot_payload(e->init, err);
                if (payload < 0)
                        return payload;
                result = host_send(socket, &message, sizeof message, &payload, 1);
        }
        return result < 0 ? error_sys(err, -result, "the warden ended") : 0;
}

/* One message of exactly that size with exactly `count` descriptors. */
static int take(int socket, void *data, size_t size, int *fds, size_t count)
{
        struct pollfd wait = {.fd = socket, .events = POLLIN};
        int room[HOST_DESCRIPTORS];
        size_t got;
        while (poll(&wait, 1, -1) < 0 && errno == EINTR)
                ;
        int n = host_receive(socket, data, size, room, &got);
        if (n != (int)size || got != count)
                return -ECANCELED;
        memcpy(fds, room, count * sizeof *fds);
        return 0;
}

static int take_over(struct warden *w, int socket)
{
        struct birth birth;
        int fds[4];
        int result = take(socket, &birth, sizeof birth, fds, 4);
        if (result < 0)
                return result;
        birth.name[sizeof birth.name - 1] = '\0';
        *w = (struct warden){.name = memory_string(birth.name),
                             .directory = fds[0],
                             .init_socket = fds[1],
                             .listening = fds[2],
                             .lock = fds[3],
                             .init = birth.init,
                             .since = time(NULL),
                             .waits = birth.waits,
                             .memory = birth.memory,
                             .over = (enum limit_over)birth.over};
        for (uint32_t i = 0; i < birth.programs; i++) {
                struct birth_program message;
                int payload;
                result = take(socket, &message, sizeof message, &payload, 1);
                if (result < 0)
                        return result;
                message.name[sizeof message.name - 1] = message.title[sizeof message.title - 1] = '\0';
                *vector_add(w->programs, w->program_count,
                            w->program_capacity) = (struct program){.name = memory_string(message.name),
                                                                    .title = memory_string(message.title),
                                                                    .payload = payload,
                                                                    .policy = (enum restart_policy)(message.policy &
                                                                                                    ~POLICY_BOOT),
                                                                    .boot = message.policy & POLICY_BOOT};
        }
        return 0;
}

int warden_directory(const struct warden *w)
{
        return w->directory;
}

const char *warden_name(const struct warden *w)
{
        return w->name;
}

void warden_stop(struct warden *w, int64_t grace)
{
        int64_t now = host_clock();
        struct order order = ORDER_INIT(ORDER_STOP, 0, 0, 0);
        if (grace > 0 && !w->stopping && host_order(w->init_socket, &order, NULL, 0) < 0)
                grace = 0; /* it does not even listen */
        if (!w->stopping || now + grace < w->deadline)
                w->deadline = now + grace;
        if (!w->stopping) {
                struct message_out *m = warden_event(w, MESSAGE_EVENT);
                message_number(m, TAG_EVENT, EVENT_STOPPING);
                warden_tell(w, m);
        }
        w->stopping = true;
        w->at_once |= grace == 0;
        if (grace == 0)
                kill(w->init, SIGKILL); /* with it the kernel ends everything inside, however fast that multiplies */
}

/* News of init. Returns false when it has ended. */
static bool hear_init(struct warden *w)
{
        for (int i = 0; i < 64; i++) {
                struct news news;
                int fd;
                int n = host_news(w->init_socket, &news, &fd);
                if (n == -EAGAIN || n == -EMSGSIZE)
                        return true;
                if (n <= 0)
                        return false;
                if (news.type == NEWS_DONE)
                        orders_news(w, &news, &fd);
                else if (news.type == NEWS_CONSOLE && fd >= 0)
                        console_take(w, fd), fd = -1;
                else if (news.type == NEWS_STARTED || news.type == NEWS_ENDED)
                        sessions_news(w, &news);
                if (fd >= 0)
                        close(fd);
        }
        return true;
}

static int64_t earlier(int64_t a, int64_t b)
{
        return a < 0 ? b : b < 0 || a < b ? a : b;
}

#define TERM_GRACE 10000 /* ms, when the warden itself is told to end, as when the machine goes down */

static int told[2]; /* a pipe: a byte comes when the warden got SIGTERM */

static void on_term(int signal)
{
        (void)!write(told[1], &signal, 1);
}

static int watch_term(struct error *err)
{
        struct sigaction action = {.sa_handler = on_term, .sa_flags = SA_RESTART};
        if (pipe2(told, O_CLOEXEC | O_NONBLOCK) < 0 || sigaction(SIGTERM, &action, NULL) < 0)
                return error_sys(err, errno, "cannot watch for the end");
        return 0;
}

/* The second time it is in earnest. */
static void obey_term(struct warden *w)
{
        char bytes[16];
        (void)!read(told[0], bytes, sizeof bytes);
        warden_stop(w, w->stopping ? 0 : TERM_GRACE);
}

/* Whoever it was started for has been killed. */
static void lose_starter(struct warden *w)
{
        close(w->starter);
        w->starter = -1;
        warden_stop(w, 0);
}

/* What was asked to end in order has not: for the log, the console, and who asked. */
static void tell_overdue(struct warden *w)
{
        static const char line[] = "[it did not end within the grace, and was killed]";
        if (w->overdue || w->at_once)
                return;
        w->overdue = true;
        log_line(&w->log, "paddock", line, sizeof line - 1);
        if (w->console)
                console_line(w, "\r\n[paddock: it did not end within the grace, and was killed]\r\n");
}

/* One turn: waits, and does what is to be done. Returns false when init has ended. */
static bool turn(struct warden *w)
{
        static struct pollfd fds[POLL_LIMIT];
        static uint32_t ids[POLL_LIMIT];
        int64_t now = host_clock();
        size_t n = 0;
        fds[n++] = (struct pollfd){.fd = w->init_socket, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = w->connection_count < CONNECTION_LIMIT ? w->listening : -1, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = told[0], .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = w->starter}; /* nobody writes: only its end is told */
        const size_t connections = n;
        for (size_t i = 0; i < w->connection_count; i++) {
                struct connection *c = &w->connections[i];
                ids[n] = c->id;
                short events = control_events(c, now);
                fds[n++] = (struct pollfd){.fd = events ? c->fd : -1, .events = events};
        }
        size_t feeds = n;
        for (size_t i = 0; i < w->feed_count; i++)
                fds[n++] = (struct pollfd){.fd = w->feeds[i].fd, .events = POLLIN};
        size_t console = n;
        n += console_poll(w, fds + n, now);
        size_t grants = n;
        n += grants_poll(w->grants, fds + n, POLL_LIMIT - n);
        int64_t due = earlier(w->stopping ? w->deadline
                              : w->waits  ? w->begin_by
                                          : -1,
                              earlier(earlier(sessions_deadline(w), console_deadline(w)),
                                      earlier(earlier(control_deadline(w, now), limits_deadline(w)), grants_deadline(w->grants))));
        int64_t wait = due < 0 ? -1 : due <= now ? 0 : due - now < 3600000 ? due - now : 3600000;
        int ready = host_wait(fds, n, (int)wait);
        if (ready > 0) {
                if (fds[2].revents)
                        obey_term(w);
                if (fds[3].revents)
                        lose_starter(w);
                for (size_t i = connections; i < feeds; i++)
                        if (fds[i].revents)
                                control_ready(w, ids[i], fds[i].revents);
                if (fds[1].revents)
                        control_accept(w);
                for (size_t i = feeds; i < console; i++)
                        if (fds[i].revents)
                                log_ready(w, fds[i].fd);
                grants_ready(w->grants, fds + grants, n - grants);
                if (console < grants)
                        console_ready(w, fds + console, now);
                if (fds[0].revents && !hear_init(w))
                        return false;
        }
        now = host_clock();
        control_due(w, now);
        if (w->waits && now >= w->begin_by)
                sessions_start(w);
        sessions_due(w, now);
        limits_due(w, now);
        grants_due(w->grants, now);
        if (w->stopping && now >= w->deadline) {
                tell_overdue(w);
                kill(w->init, SIGKILL);
                w->deadline = now + 1000;
        }
        return true;
}

/* What the programs wrote last. */
static void empty_feeds(struct warden *w)
{
        for (int round = 0; w->feed_count && round < 4096; round++) {
                size_t before = w->feed_count;
                struct pollfd ready = {.fd = w->feeds[0].fd, .events = POLLIN};
                if (poll(&ready, 1, 0) <= 0)
                        return;
                log_ready(w, w->feeds[0].fd);
                if (w->feed_count == before && !(ready.revents & POLLIN))
                        return;
        }
}

/* Nothing of the environment lives any more. */
static void end(struct warden *w, bool asked)
{
        int status;
        while (waitpid(w->init, &status, 0) < 0 && errno == EINTR)
                ;
        empty_feeds(w);
        console_end(w);
        if (!asked) {
                static const char line[] = "[the environment ended, without being told to]";
                log_line(&w->log, "paddock", line, sizeof line - 1);
        }
        char record[32];
        snprintf(record, sizeof record, "runs/%d", (int)w->init);
        unlinkat(w->directory, record, 0);
        unlinkat(w->directory, "control", 0);
        close(w->lock); /* before those who wait for the end are told */
        int over;
        /* A system that was killed has not ended in order, whatever it would have said. */
        if (!sessions_programs_over(w, &over) && w->console && (w->overdue || w->at_once))
                over = (128 + SIGKILL) << 8;
        for (size_t i = 0; i < w->ending_count; i++) {
                struct message_out *m = warden_answer(w, w->endings[i].asker, w->endings[i].type, 0);
                message_number(m, TAG_STATUS, (uint64_t)over);
                if (w->overdue)
                        message_number(m, TAG_OVERDUE, 1);
                warden_send(w, w->endings[i].asker, m);
        }
        for (size_t i = 0; i < w->waiter_count; i++) {
                struct message_out *m = warden_answer(w, w->waiters[i], MESSAGE_WAIT, 0);
                message_number(m, TAG_STATUS, (uint64_t)over);
                warden_send(w, w->waiters[i], m);
        }
        control_close_all(w);
        views_free(w->views);
        grants_free(w->grants);
}

int warden_main(int socket, int starter, void (*started)(void *context), void *context, struct error *err)
{
        static struct warden w;
        int result = take_over(&w, socket);
        close(socket);
        if (result < 0)
                return result;
        w.starter = starter;
        log_open(&w.log, w.directory);
        for (size_t i = 0; i < w.program_count; i++)
                if (w.programs[i].boot)
                        console_expect(&w);
        result = watch_term(err);
        if (result == 0)
                result = host_isolate(w.directory, err);
        if (result < 0)
                return result;
        w.grants = grants_new(&w);
        w.views = views_new(&w, w.grants);
        w.begin_by = host_clock() + BEGIN_TIME;
        if (!w.waits)
                sessions_start(&w);
        started(context);
        while (turn(&w))
                ;
        end(&w, w.stopping);
        return 0;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What runs in the environment by the warden's word: the programs of `run:`, started again as their policy says, and
 * those that somebody entered with, of which it knows only that they are there.
 */
#include "warden/inner.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define TITLE_LIMIT 1024
/* The first pause before a program is started again, doubled each time; forgotten when it ran for a while. */
#define PAUSE_FIRST 100
#define PAUSE_LAST 30000
#define RAN_WELL 10000

/* The environment's own init. */
static void start_init(struct warden *w, struct program *p)
{
        struct order order = ORDER_INIT(ORDER_BOOT, ++w->next_id, 0, 0);
        int result = host_order(w->init_socket, &order, &p->payload, 1);
        p->session = order.id;
        p->started = host_clock();
        p->since = time(NULL);
        p->pid = 0;
        p->state = result < 0 ? SESSION_WAITING : SESSION_RUNNING;
        p->due = p->started + PAUSE_FIRST;
}

static void start_program(struct warden *w, struct program *p)
{
        if (p->boot) {
                start_init(w, p);
                return;
        }
        int log = log_feed(w, p->name);
        struct order order = ORDER_INIT(ORDER_SPAWN, ++w->next_id, 0, 0);
        const int fds[] = {p->payload, log};
        int result = log < 0 ? log : host_order(w->init_socket, &order, fds, 2);
        if (log >= 0)
                close(log);
        p->session = order.id;
        p->started = host_clock();
        p->since = time(NULL);
        p->pid = 0;
        p->state = SESSION_RUNNING;
        if (result < 0) { /* too much at once: later */
                p->state = SESSION_WAITING;
                p->due = p->started + PAUSE_FIRST;
        }
}

void sessions_start(struct warden *w)
{
        w->waits = false;
        if (w->stopping)
                return;
        for (size_t i = 0; i < w->program_count; i++)
                start_program(w, &w->programs[i]);
}

static void tell_event(struct warden *w, enum event_kind kind, const char *title, uint32_t session, int status)
{
        struct message_out *m = warden_event(w, MESSAGE_EVENT);
        message_number(m, TAG_EVENT, kind);
        message_number(m, TAG_SESSION, session);
        message_text(m, TAG_COMMAND, title);
        if (kind == EVENT_ENDED)
                message_number(m, TAG_STATUS, (uint64_t)status);
        warden_tell(w, m);
}

/* The environment's own init has ended: the environment is started again, as it asked for, or ends as well. */
static void init_ended(struct warden *w, struct program *p, int status)
{
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : BOOT_LOST;
        const char *what = code == BOOT_HALTED  ? "halted"
                           : code == BOOT_AGAIN ? "restarts"
                           : code == BOOT_LOST  ? "its init ended, which an init should not: the subhurd ends"
                                                : "its init could not be started";
        char line[128];
        int n = snprintf(line, sizeof line, "[%s]", what);
        log_line(&w->log, p->name, line, (size_t)n);
        snprintf(line, sizeof line, "\r\n[paddock: %s %s]\r\n", w->name, what);
        console_line(w, line);
        p->status = code == BOOT_HALTED ? 0 : status;
        p->state = SESSION_ENDED;
        p->since = time(NULL);
        p->pid = 0;
        tell_event(w, EVENT_ENDED, p->title, p->session, p->status);
        if (code == BOOT_AGAIN && !w->stopping) {
                p->restarts++;
                start_init(w, p);
        } else {
                warden_stop(w, PAUSE_LAST);
        }
        sessions_tell_waiters(w);
}

static void program_ended(struct warden *w, struct program *p, int status)
{
        if (p->boot) {
                init_ended(w, p, status);
                return;
        }
        int64_t now = host_clock();
        char how[80];
        if (WIFEXITED(status))
                snprintf(how, sizeof how, "ended with %d", WEXITSTATUS(status));
        else
                snprintf(how, sizeof how, "was ended by signal %d", WTERMSIG(status));
        p->status = status;
        p->since = time(NULL);
        p->pid = 0;
        if (now - p->started >= RAN_WELL)
                p->attempt = 0;
        bool again = !w->stopping && (p->policy == RESTART_ALWAYS || (p->policy == RESTART_ON_FAILURE && status != 0));
        p->state = again ? SESSION_WAITING : SESSION_ENDED;
        char line[160];
        int n;
        if (again) {
                int64_t pause = p->attempt < 9 ? (int64_t)PAUSE_FIRST << p->attempt : PAUSE_LAST;
                p->due = now + (pause < PAUSE_LAST ? pause : PAUSE_LAST);
                p->attempt++;
                n = snprintf(line, sizeof line, "[%s; it is started again in %.1f s]", how,
                             (double)(p->due - now) / 1000);
        } else {
                n = snprintf(line, sizeof line, "[%s]", how);
        }
        log_line(&w->log, p->name, line, (size_t)n);
        tell_event(w, EVENT_ENDED, p->title, p->session, status);
        sessions_tell_waiters(w);
}

void sessions_enter(struct warden *w, struct asker asker, const struct message *m, const int *fds, size_t count)
{
        cleanup_error struct error err = ERROR_INIT;
        uint64_t streams = 0, terminal = 0;
        bool good = message_get_number(m, TAG_STREAMS, &streams) && message_get_number(m, TAG_TERMINAL, &terminal) &&
                    streams < 8 && terminal < 4 && count == 2 + (size_t)__builtin_popcountll(streams);
        if (w->stopping) {
                error_set(&err, ESHUTDOWN, "environment '%s' is stopping", w->name);
        } else if (!good) {
                error_set(&err, EINVAL, "a request to enter with what does not fit together");
        } else {
                struct order order = ORDER_INIT(ORDER_ENTER, ++w->next_id, (int)terminal, (unsigned)streams);
                int result = host_order(w->init_socket, &order, fds, count);
                if (result < 0)
                        error_sys(&err, -result, "the environment's first process has too much to do");
                else
                        *vector_add(w->sessions, w->session_count, w->session_capacity) =
                                (struct session){.id = order.id, .title = message_get_text(m, TAG_COMMAND, TITLE_LIMIT),
                                                 .since = time(NULL), .asker = asker};
        }
        if (err.code)
                warden_send_error(w, asker, &err);
}

static void session_started(struct warden *w, struct session *s, int pid)
{
        s->pid = pid;
        struct message_out *m = warden_answer(w, s->asker, MESSAGE_ENTER, 0);
        message_number(m, TAG_SESSION, s->id);
        warden_send(w, s->asker, m);
        tell_event(w, EVENT_STARTED, s->title, s->id, 0);
}

static void session_ended(struct warden *w, size_t i)
{
        struct session s = w->sessions[i];
        w->sessions[i] = w->sessions[--w->session_count];
        if (!s.pid) {
                cleanup_error struct error err = ERROR_INIT;
                error_set(&err, EAGAIN, "no process can be made inside");
                warden_send_error(w, s.asker, &err);
        }
        tell_event(w, EVENT_ENDED, s.title, s.id, 0);
        free(s.title);
}

void sessions_news(struct warden *w, const struct news *news)
{
        for (size_t i = 0; i < w->program_count; i++) {
                struct program *p = &w->programs[i];
                if (p->session != news->id || p->state != SESSION_RUNNING)
                        continue;
                if (news->type == NEWS_STARTED) {
                        p->pid = news->value;
                        tell_event(w, EVENT_STARTED, p->title, p->session, 0);
                } else {
                        program_ended(w, p, news->value);
                }
                return;
        }
        for (size_t i = 0; i < w->session_count; i++) {
                if (w->sessions[i].id != news->id)
                        continue;
                if (news->type == NEWS_STARTED)
                        session_started(w, &w->sessions[i], news->value);
                else
                        session_ended(w, i);
                return;
        }
}

int64_t sessions_deadline(const struct warden *w)
{
        int64_t first = -1;
        for (size_t i = 0; i < w->program_count; i++)
                if (w->programs[i].state == SESSION_WAITING && (first < 0 || w->programs[i].due < first))
                        first = w->programs[i].due;
        return first;
}

void sessions_due(struct warden *w, int64_t now)
{
        for (size_t i = 0; i < w->program_count; i++) {
                struct program *p = &w->programs[i];
                if (p->state != SESSION_WAITING || p->due > now)
                        continue;
                if (w->stopping) {
                        p->state = SESSION_ENDED;
                        continue;
                }
                p->restarts++;
                start_program(w, p);
        }
}

bool sessions_programs_over(const struct warden *w, int *status)
{
        *status = 0;
        for (size_t i = 0; i < w->program_count; i++) {
                const struct program *p = &w->programs[i];
                if (p->state != SESSION_ENDED)
                        return false;
                if (!*status)
                        *status = p->status;
        }
        return true;
}

void sessions_tell_waiters(struct warden *w)
{
        int status;
        if (!w->waiter_count || !sessions_programs_over(w, &status))
                return;
        while (w->waiter_count) {
                struct asker asker = w->waiters[--w->waiter_count];
                struct message_out *m = warden_answer(w, asker, MESSAGE_WAIT, 0);
                message_number(m, TAG_STATUS, (uint64_t)status);
                warden_send(w, asker, m);
        }
}

void sessions_status(struct warden *w, struct asker asker)
{
        size_t left = w->program_count + w->session_count;
        struct message_out *m = warden_answer(w, asker, MESSAGE_STATUS, left ? MESSAGE_MORE : 0);
        message_text(m, TAG_NAME, w->name);
        message_number(m, TAG_PID, (uint64_t)getpid());
        message_number(m, TAG_INIT, (uint64_t)w->init);
        message_number(m, TAG_SINCE, (uint64_t)w->since);
        message_number(m, TAG_STATE, w->stopping ? SESSION_STOPPING : SESSION_RUNNING);
        message_number(m, TAG_COUNT, left);
        warden_send(w, asker, m);
        for (size_t i = 0; i < w->program_count; i++) {
                const struct program *p = &w->programs[i];
                m = warden_answer(w, asker, MESSAGE_STATUS, --left ? MESSAGE_MORE : 0);
                message_number(m, TAG_SESSION, p->session);
                message_text(m, TAG_NAME, p->name);
                message_text(m, TAG_COMMAND, p->title);
                message_number(m, TAG_BACKGROUND, 1);
                message_number(m, TAG_STATE, p->state);
                message_number(m, TAG_SINCE, (uint64_t)p->since);
                message_number(m, TAG_RESTARTS, p->restarts);
                message_number(m, TAG_STATUS, (uint64_t)p->status);
                message_number(m, TAG_PID, (uint64_t)p->pid);
                warden_send(w, asker, m);
        }
        for (size_t i = 0; i < w->session_count; i++) {
                const struct session *s = &w->sessions[i];
                m = warden_answer(w, asker, MESSAGE_STATUS, --left ? MESSAGE_MORE : 0);
                message_number(m, TAG_SESSION, s->id);
                message_text(m, TAG_COMMAND, s->title);
                message_number(m, TAG_BACKGROUND, 0);
                message_number(m, TAG_STATE, SESSION_RUNNING);
                message_number(m, TAG_SINCE, (uint64_t)s->since);
                message_number(m, TAG_PID, (uint64_t)s->pid);
                warden_send(w, asker, m);
        }
}

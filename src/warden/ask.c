// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Rights that are asked for at the first use.
 *
 * Theory of operation. A placeholder stands where the right would be (files-grant, GRANT_ASK). Whoever uses it waits,
 * and the server asks the warden, which asks the user, through everyone who listens. All who wait at one placeholder
 * are one question. Yes: the placeholder is taken away, the right is mounted in its place, and then those who waited
 * are sent to look again. No, also by the clock: they are told EACCES, and for a while everyone who comes after them,
 * unasked. If nobody waits any more, the question is withdrawn. At most QUESTIONS_SHOWN questions are before the user;
 * others wait for their turn, and their time runs.
 */
#include "base/cleanup.h"
#include "base/text.h"
#include "warden/inner.h"
#include "warden/rights.h"

#include <string.h>

#define ASK_TIME 60000      /* ms for an answer */
#define QUIET_TIME 5000     /* ms after a no in which nobody is asked again for the same */
#define LINGER_TIME 2000    /* ms for which an answered placeholder answers */
#define QUESTIONS_SHOWN 5

struct question {
        uint64_t number;
        uint64_t *serials; /* of the server's questions that wait for this one */
        size_t count, capacity;
        int64_t due;
        int pid;           /* outside, of the first who asked; 0: not known */
        unsigned long long started;
        char *title;
        bool shown;
};

static void forget_question(struct right *r)
{
        struct question *q = r->question;
        r->question = NULL;
        if (!q)
                return;
        free(q->serials);
        free(q->title);
        free(q);
}

void ask_forget(struct right *r)
{
        forget_question(r);
}

static void describe(const struct right *r, struct message_out *m, int64_t now)
{
        const struct question *q = r->question;
        message_number(m, TAG_QUESTION, q->number);
        right_describe(r, m);
        message_text(m, TAG_COMMAND, q->title);
        message_number(m, TAG_PID, (uint64_t)q->pid);
        message_number(m, TAG_COUNT, q->count);
        message_number(m, TAG_TIMEOUT, (uint64_t)(q->due > now ? q->due - now : 0));
}

/* Shows what waits for its turn. */
static void show_next(struct grants *g)
{
        size_t shown = 0;
        for (size_t i = 0; i < g->count; i++)
                shown += g->rights[i]->question && g->rights[i]->question->shown;
        for (size_t i = 0; i < g->count && shown < QUESTIONS_SHOWN; i++) {
                struct right *r = g->rights[i];
                if (!r->question || r->question->shown)
                        continue;
                r->question->shown = true;
                shown++;
                struct message_out *m = warden_event(g->warden, MESSAGE_QUESTION);
                describe(r, m, host_clock());
                warden_tell(g->warden, m);
        }
}

void ask_listener(struct grants *g, struct asker asker)
{
        for (size_t i = 0; i < g->count; i++) {
                const struct right *r = g->rights[i];
                if (!r->question || !r->question->shown)
                        continue;
                struct message_out *m = warden_answer(g->warden, asker, MESSAGE_QUESTION, 0);
                describe(r, m, host_clock());
                warden_send(g->warden, asker, m);
        }
}

/* Nobody is to answer any more. */
static void withdraw(struct right *r)
{
        struct grants *g = r->table;
        if (r->question && r->question->shown) {
                struct message_out *m = warden_event(g->warden, MESSAGE_WITHDRAWN);
                message_number(m, TAG_QUESTION, r->question->number);
                warden_tell(g->warden, m);
        }
        forget_question(r);
        show_next(g);
}

static void refuse(struct right *r, const char *event, const char *text)
{
        struct question *q = r->question;
        for (size_t i = 0; i < q->count; i++)
                server_answer(right_server(r), r->id, q->serials[i], false);
        r->quiet_until = host_clock() + QUIET_TIME;
        audit(r->table, event, r, text);
        withdraw(r);
}

void ask_question(struct right *r, const struct server_news *news)
{
        int64_t now = host_clock();
        if (r->state != RIGHT_ACTIVE || r->replaced || now < r->quiet_until) {
                server_answer(right_server(r), r->id, news->serial, false);
                return;
        }
        struct question *q = r->question;
        if (!q) {
                q = r->question = memory_new(sizeof *q);
                *q = (struct question){.number = ++r->table->last_question, .due = now + ASK_TIME};
                q->pid = news->pid ? inside_find(r->table->warden->init, news->pid, &q->started) : 0;
                q->title = q->pid ? inside_title(q->pid) : NULL;
                audit(r->table, "asked", r, q->title);
        }
        *vector_add(q->serials, q->count, q->capacity) = news->serial;
        show_next(r->table);
}

void ask_withdrawn(struct right *r, uint64_t serial)
{
        struct question *q = r->question;
        for (size_t i = 0; q && i < q->count; i++)
                if (q->serials[i] == serial) {
                        q->serials[i] = q->serials[--q->count];
                        break;
                }
        if (q && !q->count) {
                audit(r->table, "withdrawn", r, q->title);
                withdraw(r);
        }
}

int64_t ask_due(const struct right *r)
{
        return r->question ? r->question->due : -1;
}

void ask_expire(struct right *r, int64_t now)
{
        if (r->question && now >= r->question->due)
                refuse(r, "denied", "nobody answered");
}

/* ---- the answer ---- */

/* The placeholder is gone: the right is mounted in its place. */
static void uncovered(void *context, struct outcome_of_order *outcome)
{
        struct right *r = context;
        (void)outcome;
        r->busy = false;
        struct right *fresh = grants_find(r->table, r->replaced);
        if (fresh)
                right_begin(fresh);
        else if (r->state == RIGHT_ENDING)
                right_finish(r);
}

void ask_replaced(struct right *placeholder, bool good)
{
        struct question *q = placeholder->question;
        for (size_t i = 0; q && i < q->count; i++)
                server_answer(right_server(placeholder), placeholder->id, q->serials[i], good);
        forget_question(placeholder);
        placeholder->silent = true;
        /* Others wait in the kernel for the one who asked, and come to the placeholder only now: for a while it sends
         * them on. */
        placeholder->due = host_clock() + (good ? LINGER_TIME : 0);
        show_next(placeholder->table);
}

static struct right *asked_by_number(struct grants *g, uint64_t number)
{
        for (size_t i = 0; i < g->count; i++)
                if (g->rights[i]->question && g->rights[i]->question->number == number)
                        return g->rights[i];
        return NULL;
}

/* Yes: the right itself. */
static void give(struct right *p, struct asker asker, unsigned verdict, char *by, int *fds)
{
        struct grants *g = p->table;
        struct question *q = p->question;
        struct right *r = right_new(g, asker, MESSAGE_REPLY);
        static const char *const words[] =
                {[VERDICT_ONCE] = "yes, once", [VERDICT_RUN] = "yes, for this run", [VERDICT_ALWAYS] = "yes, always"};
        audit(g, "answered", p, words[verdict]);
        grant_copy(&r->grant, &p->grant);
        r->by = by;
        r->grouped = p->grouped;
        r->gid = p->gid;
        r->grant.keep = verdict == VERDICT_ALWAYS;
        r->asks_again = verdict == VERDICT_ONCE;
        r->grant.once = verdict == VERDICT_ONCE;
        r->user = verdict == VERDICT_ONCE ? q->pid : 0;
        r->user_started = q->started;
        r->fds[0] = steal_fd(&fds[0]);
        r->replaces = p->id;
        grants_enter(g, r);
        p->replaced = r->id;
        p->busy = true;
        int handle = p->handle;
        p->handle = -1;
        if (q->shown) { /* for others who were asked as well */
                struct message_out *m = warden_event(g->warden, MESSAGE_WITHDRAWN);
                message_number(m, TAG_QUESTION, q->number);
                warden_tell(g->warden, m);
                q->shown = false;
        }
        q->number = 0; /* nobody answers it again */
        q->due = INT64_MAX;
        warden_detach(g->warden, handle, uncovered, p);
}

void ask_reply(struct grants *g, struct asker asker, const struct message *m, int *fds, size_t count)
{
        cleanup_error struct error err = ERROR_INIT;
        uint64_t number = 0, verdict = 0;
        message_get_number(m, TAG_QUESTION, &number);
        message_get_number(m, TAG_VERDICT, &verdict);
        struct right *r = number ? asked_by_number(g, number) : NULL;
        if (verdict < VERDICT_NO || verdict > VERDICT_ALWAYS || count != (verdict != VERDICT_NO))
                error_set(&err, EBADMSG, "the reply says neither yes nor no");
        else if (!r)
                error_set(&err, ENOENT, "that question is not open any more");
        if (err.code || !r) {
                warden_send_error(g->warden, asker, &err);
                return;
        }
        char *by = message_get_text(m, TAG_BY, 256);
        if (verdict != VERDICT_NO) {
                give(r, asker, (unsigned)verdict, by, fds);
                return;
        }
        cleanup_free char *text = memory_format("no (%s)", by ? by : "?");
        free(by);
        refuse(r, "denied", text);
        warden_send(g->warden, asker, warden_answer(g->warden, asker, MESSAGE_REPLY, 0));
}

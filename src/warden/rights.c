// SPDX-License-Identifier: GPL-3.0-or-later
/* The life of a right: see rights.h. */
#include "warden/rights.h"

#include "base/cleanup.h"
#include "warden/inner.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

/* The table's own word for the kinds of the control socket, and back. */
static unsigned flags_of(const struct grant *g)
{
        return (g->noexec ? GRANT_NOEXEC : 0u) | (g->plain ? GRANT_PLAIN : 0u) | (g->keep ? GRANT_KEEP : 0u) |
               (g->once ? GRANT_ONCE : 0u) | (g->locked ? GRANT_LOCKED : 0u);
}

struct server *right_server(struct right *r)
{
        if (r->grant.plain && !r->asks)
                return NULL;
        return &r->table->servers[r->grant.kind == RESOURCE_CHANNEL  ? SERVER_CHANNELS
                                  : r->grant.kind == RESOURCE_SOCKET ? SERVER_SOCKETS
                                                                     : SERVER_FILES];
}

static void tell(struct right *r, enum event_kind kind)
{
        struct message_out *m = warden_event(r->table->warden, MESSAGE_EVENT);
        message_number(m, TAG_EVENT, kind);
        message_number(m, TAG_GRANT, r->id);
        message_text(m, TAG_RESOURCE, r->grant.resource);
        message_text(m, TAG_INSIDE, r->grant.inside);
        message_number(m, TAG_MODE, r->grant.writable ? GRANT_RW : GRANT_RO);
        message_number(m, TAG_FLAGS, flags_of(&r->grant));
        message_text(m, TAG_BY, r->by);
        warden_tell(r->table->warden, m);
}

static void close_fds(struct right *r)
{
        for (size_t i = 0; i < sizeof r->fds / sizeof *r->fds; i++) {
                if (r->fds[i] >= 0)
                        close(r->fds[i]);
                r->fds[i] = -1;
        }
}

void right_free(struct right *r)
{
        close_fds(r);
        ask_forget(r);
        grant_clear(&r->grant);
        error_clear(&r->failed);
        free(r->by);
        free(r->ended_by);
        free(r->waiting);
        free(r);
}

void right_describe(const struct right *r, struct message_out *m)
{
        const struct grant *g = &r->grant;
        message_number(m, TAG_GRANT, r->id);
        message_text(m, TAG_RESOURCE, g->resource);
        message_text(m, TAG_INSIDE, g->inside);
        message_number(m, TAG_KIND,
                       g->kind == RESOURCE_TREE   ? GRANT_TREE
                       : g->kind == RESOURCE_FILE ? GRANT_FILE
                       : g->kind == RESOURCE_CHANNEL ? GRANT_CHANNEL
                                                  : GRANT_SOCKET);
        message_number(m, TAG_MODE, g->writable ? GRANT_RW : GRANT_RO);
        message_number(m, TAG_FLAGS, flags_of(g) | (r->asks ? GRANT_ASKS : 0u));
        if (g->expiry == EXPIRY_TIME) {
                message_number(m, TAG_EXPIRY, (uint64_t)g->seconds);
                message_number(m, TAG_CLOCK, CLOCK_OF_DAY);
        }
        message_text(m, TAG_SET, g->set);
        message_text(m, TAG_BY, r->by);
        message_text(m, TAG_TO, g->to);
        message_number(m, TAG_SINCE, (uint64_t)r->since);
        if (r->used)
                message_number(m, TAG_USED, (uint64_t)r->used);
}

void ending_rights_done(struct grants *g, struct ending_rights *e)
{
        if (--e->left)
                return;
        struct message_out *m = warden_answer(g->warden, e->asker, e->type, 0);
        message_number(m, TAG_COUNT, e->count);
        message_number(m, TAG_LOST, e->lost);
        warden_send(g->warden, e->asker, m);
        free(e);
}

/* Those who wait for its end have one less to wait for. */
static void tell_waiting(struct right *r)
{
        for (size_t i = 0; i < r->waiting_count; i++) {
                r->waiting[i]->lost += r->lost;
                ending_rights_done(r->table, r->waiting[i]);
        }
        r->waiting_count = 0;
}

/* A placeholder where the right was that was given once. */
static void ask_anew(struct right *r)
{
        struct right *p = right_new(r->table, (struct asker){0}, MESSAGE_ASK);
        grant_copy(&p->grant, &r->grant);
        p->grant.once = p->grant.keep = false;
        p->by = r->by ? memory_string(r->by) : NULL;
        p->grouped = r->grouped;
        p->gid = r->gid;
        p->asks = true;
        p->asked = false;
        grants_enter(r->table, p);
        right_begin(p);
}

void right_finish(struct right *r)
{
        struct grants *g = r->table;
        bool began = !r->failed.code && !r->asked && !r->silent;
        struct right *placeholder = r->replaces ? grants_find(g, r->replaces) : NULL;
        if (placeholder)
                ask_replaced(placeholder, false);
        if (r->asked && r->failed.code) {
                warden_send_error(g->warden, r->asker, &r->failed);
                audit(g, "failed", r, r->failed.text);
        } else if (r->asked) {
                cleanup_error struct error err = ERROR_INIT;
                error_set(&err, ECANCELED, "it was taken back before it began");
                warden_send_error(g->warden, r->asker, &err);
        }
        if (began) {
                audit(g, r->why ? r->why : "lost", r, NULL);
                tell(r, EVENT_REVOKED);
        }
        if (began && r->grant.keep)
                g->unsaved = true;
        grants_remove(g, r);
        if (began && r->asks_again && r->why && strcmp(r->why, "spent") == 0)
                ask_anew(r);
        tell_waiting(r);
        right_free(r);
}

static void unmounted(void *context, struct outcome_of_order *outcome)
{
        (void)outcome; /* a mount that is not there any more is what was wanted */
        right_finish(context);
}

static void unmount(struct right *r)
{
        int handle = r->handle;
        r->handle = -1;
        if (r->busy)
                return; /* it is finished when that is done */
        if (handle < 0)
                right_finish(r);
        else
                warden_detach(r->table->warden, handle, unmounted, r);
}

static void take_back(struct right *r)
{
        r->state = RIGHT_ENDING;
        if (r->served && right_server(r)->socket >= 0)
                server_revoke(right_server(r), r->id);
        else
                unmount(r);
}

static void fail(struct right *r, const struct error *err)
{
        r->state = RIGHT_ENDING;
        error_set(&r->failed, err->code, "%s", err->text);
        if (err->remedy)
                error_remedy(&r->failed, "%s", err->remedy);
        take_back(r);
}

static void begun(struct right *r)
{
        struct grants *g = r->table;
        close_fds(r);
        r->state = RIGHT_ACTIVE;
        if (r->end_soon) {
                take_back(r);
                return;
        }
        struct warden *w = g->warden;
        r->since = time(NULL);
        struct right *placeholder = r->replaces ? grants_find(g, r->replaces) : NULL;
        r->replaces = 0;
        if (placeholder)
                ask_replaced(placeholder, true);
        if (r->asked) {
                struct message_out *m = warden_answer(w, r->asker, r->type, 0);
                message_number(m, TAG_GRANT, r->id);
                message_text(m, TAG_INSIDE, r->grant.inside);
                warden_send(w, r->asker, m);
        }
        r->asked = false;
        g->unsaved |= r->grant.keep;
        if (r->asks) {
                audit(g, "placeholder", r, NULL);
        } else {
                audit(g, "granted", r, NULL);
                tell(r, EVENT_GRANTED);
        }
}

/* The last step: the mount stands. */
static void attached(void *context, struct outcome_of_order *outcome)
{
        struct right *r = context;
        r->handle = outcome->result < 0 ? -1 : outcome->handle;
        if (outcome->result < 0)
                fail(r, outcome->err);
        else
                begun(r);
}

static int steal(struct right *r, int i)
{
        return steal_fd(&r->fds[i]);
}

static void mounted(void *context, struct outcome_of_order *outcome)
{
        struct right *r = context;
        struct grants *g = r->table;
        r->handle = outcome->result < 0 ? -1 : outcome->handle;
        if (outcome->result < 0) {
                fail(r, outcome->err);
                return;
        }
        if (right_server(r)->socket < 0) {
                cleanup_error struct error err = ERROR_INIT;
                error_set(&err, EPIPE, "the server of grants ended");
                error_remedy(&err, "try again: it is started anew");
                fail(r, &err);
                return;
        }
        struct server_tree tree = {.writable = r->grant.writable,
                                   .file = r->grant.kind == RESOURCE_FILE,
                                   .noexec = r->grant.noexec,
                                   .uid = g->uid,
                                   .gid = r->grouped ? r->gid : g->gid,
                                   .group = r->grouped};
        r->served = true;
        if (r->asks) {
                tree.ask = true;
                tree.mode = r->grant.kind == RESOURCE_TREE ? 0755 : 0644;
        }
        server_add_tree(right_server(r), r->id, &tree, steal_fd(&outcome->fd), steal(r, 0));
}

/* A channel: its server gets what there is. */
static void add_channel(struct right *r)
{
        struct server *s = right_server(r);
        int fds[6];
        size_t count = 0;
        cleanup_error struct error err = ERROR_INIT;
        if (s->socket < 0) {
                error_set(&err, EPIPE, "the server of channels ended");
                error_remedy(&err, "try again: it is started anew");
                fail(r, &err);
                return;
        }
        r->served = true;
        for (int i = 0; i < 6; i++)
                if (i != RIGHT_TREE && r->fds[i] >= 0)
                        fds[count++] = steal(r, i);
        server_add_channel(s, r->id, r->parts, fds, count);
}

static void reached(void *context, struct outcome_of_order *outcome);

/* Has init open what it needs of the inside, one after the other. False: there is all. */
static bool reach_next(struct right *r)
{
        for (int i = RIGHT_NETWORK; i <= RIGHT_ROOT; i++) {
                unsigned part = i == RIGHT_NETWORK ? BRING_NETWORK : BRING_ROOT;
                if (!(r->parts & part) || r->fds[i] >= 0)
                        continue;
                r->reaching = true;
                warden_reach(r->table->warden, i == RIGHT_ROOT, reached, r);
                return true;
        }
        return false;
}

static void reached(void *context, struct outcome_of_order *outcome)
{
        struct right *r = context;
        int i = (r->parts & BRING_NETWORK) && r->fds[RIGHT_NETWORK] < 0 ? RIGHT_NETWORK : RIGHT_ROOT;
        r->reaching = false;
        if (outcome->result < 0) {
                fail(r, outcome->err);
                return;
        }
        r->fds[i] = steal_fd(&outcome->fd);
        if (r->fds[i] < 0 && i == RIGHT_NETWORK)
                r->parts &= ~(unsigned)BRING_NETWORK; /* it is the network outside */
        if (!reach_next(r))
                add_channel(r);
}

void right_begin(struct right *r)
{
        struct warden *w = r->table->warden;
        const struct grant *g = &r->grant;
        bool is_file = g->kind != RESOURCE_TREE;
        if (r->asks) {
                warden_mount_placeholder(w, g->inside, is_file, mounted, r);
        } else if (g->kind == RESOURCE_CHANNEL) {
                if (!reach_next(r))
                        add_channel(r);
        } else if (g->plain) {
                cleanup_close int tree = steal(r, 0);
                warden_attach(w, g->inside, is_file, tree, attached, r);
        } else if (g->kind == RESOURCE_SOCKET) {
                r->served = true;
                int outer = steal(r, 0);
                server_add_socket(right_server(r), r->id, g->once, steal(r, 1), outer);
        } else {
                warden_mount_fuse(w, g->inside, is_file, g->writable ? GRANT_RW : GRANT_RO, flags_of(g), mounted, r);
        }
}

void right_end(struct right *r, const char *why, struct ending_rights *waiting)
{
        if (waiting) {
                *vector_add(r->waiting, r->waiting_count, r->waiting_capacity) = waiting;
                waiting->left++;
                waiting->count++;
        }
        if (!r->why)
                r->why = why;
        if (r->state == RIGHT_STARTING)
                r->end_soon = true;
        else if (r->state == RIGHT_ACTIVE)
                take_back(r);
}

static void looked(void *context, struct outcome_of_order *outcome)
{
        (void)outcome;
        struct right *r = context;
        r->looking = false;
        if (!r->served) { /* the server has ended meanwhile */
                r->end_soon = true;
                r->why = "lost";
        }
        begun(r);
}

/* The server has it, or not. */
static void added(struct right *r, int status)
{
        if (status < 0) {
                cleanup_error struct error err = ERROR_INIT;
                r->served = false;
                error_sys(&err, -status, "the server of grants does not take it");
                fail(r, &err);
        } else if ((r->grant.kind == RESOURCE_SOCKET || r->grant.kind == RESOURCE_CHANNEL) && r->fds[2] >= 0) {
                cleanup_close int tree = steal(r, 2);
                warden_attach(r->table->warden, r->grant.inside, true, tree, attached, r);
        } else if (r->grant.kind == RESOURCE_FILE) {
                r->looking = true;
                warden_look(r->table->warden, r->handle, looked, r);
        } else {
                begun(r);
        }
}

static void used(struct right *r, const struct server_news *news)
{
        cleanup_free char *text = NULL;
        if (r->asks)
                return;
        r->used = time(NULL);
        int pid = news->pid ? inside_find(r->table->warden->init, news->pid, &r->user_started) : 0;
        if (pid)
                text = inside_title(pid);
        audit(r->table, "used", r, text);
        tell(r, EVENT_USED);
        if (!r->grant.once || r->grant.kind == RESOURCE_SOCKET || r->grant.kind == RESOURCE_CHANNEL || r->user)
                return;
        r->user = pid;
        if (!pid) /* it has ended already, or is nobody of the environment's */
                right_end(r, "spent", NULL);
}

void right_hear(struct right *r, const struct server_news *news)
{
        bool relay = r->grant.kind == RESOURCE_SOCKET || r->grant.kind == RESOURCE_CHANNEL;
        cleanup_free char *text = NULL;
        switch (news->word) {
        case SERVER_ADDED:
                if (relay && r->state == RIGHT_ENDING) {
                        r->lost += news->lost;
                        r->served = false;
                        unmount(r);
                } else if (r->state == RIGHT_STARTING) {
                        added(r, news->status);
                }
                break;
        case SERVER_REVOKED:
                r->lost += news->lost;
                r->served = false;
                if (r->state == RIGHT_ENDING)
                        unmount(r);
                break;
        case SERVER_USED:
                used(r, news);
                break;
        case SERVER_GONE:
                r->served = false;
                right_end(r, r->grant.once ? "spent" : "lost", NULL);
                break;
        case SERVER_FAILED:
                text = memory_format("nobody answers outside: %s", strerror(-news->status));
                audit(r->table, "unanswered", r, text);
                break;
        case SERVER_QUESTION:
                ask_question(r, news);
                break;
        case SERVER_WITHDRAWN:
                ask_withdrawn(r, news->serial);
                break;
        case SERVER_NOTHING:
                break;
        }
}

void right_orphan(struct right *r)
{
        bool waits = r->served; /* for an answer of the server's */
        r->served = false;
        if (!waits)
                return;
        if (r->state == RIGHT_ENDING) {
                unmount(r);
        } else if (r->state == RIGHT_ACTIVE) {
                right_end(r, "lost", NULL);
        } else if (r->looking || (r->grant.kind == RESOURCE_SOCKET && r->fds[2] < 0) || (r->parts & BRING_INNER && r->fds[2] < 0)) {
                r->end_soon = true; /* init is at work on it */
                r->why = "lost";
        } else {
                cleanup_error struct error err = ERROR_INIT;
                error_set(&err, EPIPE, "the server of grants ended");
                error_remedy(&err, "try again: it is started anew");
                fail(r, &err);
        }
}

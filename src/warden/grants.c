// SPDX-License-Identifier: GPL-3.0-or-later
/* The rights of a started environment: the table, and what is asked for. See grants.h; rights.c has the life of one. */
#include "warden/grants.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "model/kept.h"
#include "warden/inner.h"
#include "warden/rights.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#define CLOCK_CHECK 60000 /* ms after which a time of day is looked at again: clocks are set */
#define USER_CHECK 500    /* ms after which it is looked whether who used a right once still lives */

struct grants *grants_new(struct warden *w)
{
        struct grants *g = memory_new(sizeof *g);
        *g = (struct grants){.warden = w, .servers = {SERVER_NONE(SERVER_FILES), SERVER_NONE(SERVER_SOCKETS),
                                                        SERVER_NONE(SERVER_CHANNELS)}};
        g->audit = audit_open(warden_directory(w));
        return g;
}

void grants_free(struct grants *g)
{
        for (size_t i = 0; i < SERVER_KINDS; i++)
                server_close(&g->servers[i]);
        for (size_t i = 0; i < g->count; i++)
                right_free(g->rights[i]);
        free(g->rights);
        if (g->audit >= 0)
                close(g->audit);
        free(g);
}

/* The number inside of an id that is `id` outside. */
static unsigned number_inside(int init, const char *file, unsigned id)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/%s", init, file);
        cleanup_file FILE *map = fopen(path, "re");
        unsigned inside, outside, count;
        while (map && fscanf(map, "%u %u %u", &inside, &outside, &count) == 3)
                if (id >= outside && id - outside < count)
                        return inside + id - outside;
        return id;
}

static void learn_numbers(struct grants *g)
{
        if (g->numbered)
                return;
        g->uid = number_inside(g->warden->init, "uid_map", geteuid());
        g->gid = number_inside(g->warden->init, "gid_map", getegid());
        g->numbered = true;
}

struct right *grants_find(const struct grants *g, uint64_t id)
{
        size_t low = 0, high = g->count;
        while (low < high) {
                size_t middle = (low + high) / 2;
                if (g->rights[middle]->id == id)
                        return g->rights[middle];
                if (g->rights[middle]->id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

void grants_remove(struct grants *g, struct right *r)
{
        size_t i = 0;
        while (g->rights[i] != r)
                i++;
        memmove(&g->rights[i], &g->rights[i + 1], (--g->count - i) * sizeof(struct right *));
}

struct right *right_new(struct grants *g, struct asker asker, enum message_type type)
{
        struct right *r = memory_new(sizeof *r);
        *r = (struct right){.table = g,
                            .asker = asker,
                            .type = type,
                            .asked = true,
                            .handle = -1,
                            .due = -1,
                            .fds = {-1, -1, -1, -1, -1, -1}};
        return r;
}

void grants_enter(struct grants *g, struct right *r)
{
        r->id = ++g->last_id;
        *vector_add(g->rights, g->count, g->capacity) = r;
}

/* ---- GRANT, ASK ---- */

static bool is_clean(const char *path)
{
        cleanup_free char *clean = path[0] == '/' ? path_clean("/", path) : NULL;
        return clean && strcmp(clean, path) == 0;
}

/* Fills `r` from the message. */
static int read_grant(struct right *r, const struct message *m, struct error *err)
{
        struct grant *g = &r->grant;
        uint64_t kind = 0, mode = GRANT_RO, flags = 0, expiry, clock = CLOCK_OF_DAY;
        message_get_number(m, TAG_KIND, &kind);
        message_get_number(m, TAG_MODE, &mode);
        message_get_number(m, TAG_FLAGS, &flags);
        message_get_number(m, TAG_CLOCK, &clock);
        g->resource = message_get_text(m, TAG_RESOURCE, TEXT_LIMIT);
        g->inside = message_get_text(m, TAG_INSIDE, TEXT_LIMIT);
        g->set = message_get_text(m, TAG_SET, 64);
        g->to = message_get_text(m, TAG_TO, 32);
        r->by = message_get_text(m, TAG_BY, 256);
        g->kind = kind == GRANT_TREE     ? RESOURCE_TREE
                  : kind == GRANT_FILE   ? RESOURCE_FILE
                  : kind == GRANT_SOCKET ? RESOURCE_SOCKET
                  : kind == GRANT_CHANNEL ? RESOURCE_CHANNEL
                                         : RESOURCE_UNKNOWN;
        uint64_t parts = 0;
        message_get_number(m, TAG_PARTS, &parts);
        r->parts = (unsigned)parts;
        g->writable = mode == GRANT_RW;
        g->noexec = flags & GRANT_NOEXEC;
        g->plain = flags & GRANT_PLAIN;
        g->keep = flags & GRANT_KEEP;
        g->once = flags & GRANT_ONCE;
        g->locked = flags & GRANT_LOCKED;
        if (!g->resource || !g->inside || !is_clean(g->inside) || !g->inside[1] || g->kind == RESOURCE_UNKNOWN ||
            (mode != GRANT_RO && mode != GRANT_RW) || (clock != CLOCK_OF_DAY && clock != CLOCK_OF_BOOT))
                return error_set(err, EBADMSG, "the request does not say what is granted where");
        uint64_t gid = 0;
        r->grouped = message_get_number(m, TAG_GID, &gid);
        r->gid = (unsigned)gid;
        if (r->grouped != (g->to != NULL) || gid >= UINT32_MAX)
                return error_set(err, EBADMSG, "the request does not say which group inside the identity stands for");
        if (g->kind == RESOURCE_CHANNEL && (parts > 15 || g->plain || g->keep || g->once))
                return error_set(err, EBADMSG, "the request does not say what the channel is");
        if (g->to && (g->plain || g->kind == RESOURCE_SOCKET || g->kind == RESOURCE_CHANNEL)) {
                error_set(err, EINVAL, "only a revocable grant of a tree or file can be one identity's");
                return error_remedy(err, "leave --to out: then everyone inside has it");
        }
        if (g->plain && g->once)
                return error_set(err, EINVAL,
                                 "what is granted plainly is not seen when it is used: it cannot end with that");
        if (!message_get_number(m, TAG_EXPIRY, &expiry))
                return 0;
        if (expiry > INT64_MAX / 2000)
                return error_set(err, EBADMSG, "the request names no time");
        g->expiry = EXPIRY_TIME;
        g->seconds = (long long)expiry;
        if (clock == CLOCK_OF_BOOT) {
                r->due = (int64_t)expiry * 1000;
                g->seconds = time(NULL) + (r->due - host_clock()) / 1000;
        }
        return 0;
}

/* Does a right that is there stand in the way? */
static int check_others(const struct grants *g, const struct right *fresh, struct error *err)
{
        const char *inside = fresh->grant.inside;
        for (size_t i = 0; i < g->count; i++) {
                const struct right *r = g->rights[i];
                bool covers = path_is_below(r->grant.inside, inside);
                /* Another right on a part of what is locked would say something else about it. */
                bool touches = r->grant.locked && !fresh->grant.locked &&
                               (path_is_below(inside, r->grant.inside) ||
                                path_is_below(fresh->grant.resource, r->grant.resource));
                if (r->state == RIGHT_ENDING || r->silent || (!covers && !touches))
                        continue;
                cleanup_free char *shown = text_escape(r->grant.inside);
                bool same = strcmp(r->grant.inside, inside) == 0;
                if (r->grant.locked) {
                        error_set(err, EPERM, "%s inside is granted by a locked line of the description (%s)", shown,
                                  mode_word(r->grant.writable));
                        return error_remedy(err, "no command changes that: change the description while the "
                                                 "environment is stopped");
                }
                error_set(err, EEXIST,
                          same ? "%s inside is %s already (%s, %s)" : "it would cover %s, which is %s (%s, %s)", shown,
                          r->asks ? "asked for" : "granted", mode_word(r->grant.writable),
                          r->grant.plain ? "plain" : "revocable");
                return error_remedy(err, "revoke that first, or name another place inside");
        }
        return 0;
}

static size_t descriptors_for(const struct right *r)
{
        const struct grant *g = &r->grant;
        if (g->kind == RESOURCE_CHANNEL)
                return 1u + !!(r->parts & BRING_OUTER) + (r->parts & BRING_INNER ? 2 : 0);
        return g->kind == RESOURCE_SOCKET && !g->plain ? 3 : 1;
}

static void request_grant(struct grants *g, struct asker asker, const struct message *m, int *fds, size_t count)
{
        cleanup_error struct error err = ERROR_INIT;
        struct right *r = right_new(g, asker, m->header.type);
        r->asks = r->type == MESSAGE_ASK;
        int result = read_grant(r, m, &err);
        if (result == 0 && r->asks && (r->grant.kind == RESOURCE_SOCKET || r->grant.kind == RESOURCE_CHANNEL || r->grant.keep || r->grant.once))
                result = error_set(&err, EINVAL,
                                   "only trees and files can be asked for; how long is said in the answer");
        size_t wanted = r->asks ? 0 : descriptors_for(r);
        if (result == 0 && count != wanted)
                result = error_set(&err, EBADMSG, "the request comes with %zu descriptors, not %zu", count, wanted);
        if (result == 0)
                result = check_others(g, r, &err);
        if (result == 0 && g->count >= RIGHT_LIMIT)
                result = error_set(&err, ENOSPC, "an environment has at most %d grants", RIGHT_LIMIT);
        if (result < 0) {
                audit(g, "refused", r->grant.resource && r->grant.inside ? r : NULL, err.text);
                warden_send_error(g->warden, asker, &err);
                right_free(r);
                return;
        }
        struct server *s = right_server(r);
        if (s && s->socket < 0) {
                warden_send_need(g->warden, asker, s->kind == SERVER_CHANNELS ? GRANT_CHANNEL
                                                  : s->kind == SERVER_SOCKETS ? GRANT_SOCKET : GRANT_TREE);
                right_free(r);
                return;
        }
        learn_numbers(g);
        static const int order[] = {RIGHT_SPEC, RIGHT_OUTER, RIGHT_INNER, RIGHT_TREE};
        bool channel = r->grant.kind == RESOURCE_CHANNEL;
        for (size_t i = 0, at = 0; i < count; i++, at++) {
                at += channel && at == 1 && !(r->parts & BRING_OUTER);
                r->fds[channel ? order[at] : (int)i] = steal_fd(&fds[i]);
        }
        grants_enter(g, r);
        right_begin(r);
}

/* ---- GRANTS, SERVER ---- */

static void request_list(struct grants *g, struct asker asker)
{
        size_t count = 0;
        for (size_t i = 0; i < g->count; i++)
                count += !g->rights[i]->silent;
        struct message_out *m = warden_answer(g->warden, asker, MESSAGE_GRANTS, count ? MESSAGE_MORE : 0);
        message_number(m, TAG_COUNT, count);
        warden_send(g->warden, asker, m);
        for (size_t i = 0; i < g->count; i++) {
                const struct right *r = g->rights[i];
                if (r->silent)
                        continue;
                m = warden_answer(g->warden, asker, MESSAGE_GRANTS, --count ? MESSAGE_MORE : 0);
                right_describe(r, m);
                warden_send(g->warden, asker, m);
        }
}

static void request_server(struct grants *g, struct asker asker, const struct message *m, int *fds, size_t count)
{
        cleanup_error struct error err = ERROR_INIT;
        uint64_t kind = 0;
        message_get_number(m, TAG_KIND, &kind);
        struct server *s = &g->servers[kind == GRANT_CHANNEL  ? SERVER_CHANNELS
                                       : kind == GRANT_SOCKET ? SERVER_SOCKETS
                                                              : SERVER_FILES];
        if (count != 1 || kind < GRANT_TREE || kind > GRANT_CHANNEL)
                error_set(&err, EBADMSG, "the request brings no server");
        else if (s->socket >= 0)
                error_set(&err, EEXIST, "that server is there already");
        if (err.code) {
                warden_send_error(g->warden, asker, &err);
                return;
        }
        s->socket = steal_fd(&fds[0]);
        warden_send(g->warden, asker, warden_answer(g->warden, asker, MESSAGE_SERVER, 0));
}

void grants_request(struct grants *g, struct asker asker, const struct message *m, int *fds, size_t count)
{
        cleanup_error struct error err = ERROR_INIT;
        switch (m->header.type) {
        case MESSAGE_GRANT:
        case MESSAGE_ASK:
                request_grant(g, asker, m, fds, count);
                break;
        case MESSAGE_REVOKE:
                revoke_request(g, asker, m);
                break;
        case MESSAGE_GRANTS:
                request_list(g, asker);
                break;
        case MESSAGE_REPLY:
                ask_reply(g, asker, m, fds, count);
                break;
        case MESSAGE_SERVER:
                request_server(g, asker, m, fds, count);
                break;
        default:
                error_set(&err, EOPNOTSUPP, "this warden does not know that request");
                warden_send_error(g->warden, asker, &err);
        }
}

/* ---- the loop ---- */

size_t grants_poll(struct grants *g, struct pollfd *fds, size_t room)
{
        size_t n = 0;
        for (size_t i = 0; i < SERVER_KINDS && n < room; i++)
                if (g->servers[i].socket >= 0)
                        fds[n++] = (struct pollfd){.fd = g->servers[i].socket,
                                                   .events = (short)(POLLIN | (g->servers[i].first ? POLLOUT : 0))};
        return n;
}

/* All that it said; at its end everything that lived in it ends. */
static void hear(struct grants *g, struct server *s)
{
        struct server_news news;
        int result;
        while ((result = server_hear(s, &news)) > 0) {
                struct right *r = grants_find(g, news.id);
                if (r)
                        right_hear(r, &news);
        }
        if (result == -EAGAIN)
                return;
        server_close(s);
        for (size_t i = g->count; i-- > 0;) { /* one that ends is taken out of the table */
                if (i < g->count && right_server(g->rights[i]) == s)
                        right_orphan(g->rights[i]);
        }
}

void grants_ready(struct grants *g, const struct pollfd *fds, size_t count)
{
        for (size_t i = 0; i < count; i++)
                for (size_t k = 0; k < SERVER_KINDS; k++) {
                        struct server *s = &g->servers[k];
                        if (s->socket != fds[i].fd || !fds[i].revents)
                                continue;
                        if (fds[i].revents & POLLOUT)
                                server_flush(s);
                        if (fds[i].revents & ~POLLOUT)
                                hear(g, s);
                        break;
                }
}

/* When it expires, in ms of the boot clock; or when that is to be looked at again. */
static int64_t due_of(const struct right *r)
{
        if (r->state == RIGHT_ENDING)
                return -1;
        int64_t now = host_clock(), due = r->due;
        if (due < 0 && r->grant.expiry == EXPIRY_TIME) {
                int64_t left = ((int64_t)r->grant.seconds - time(NULL)) * 1000;
                due = now + (left > CLOCK_CHECK ? CLOCK_CHECK : left < 0 ? 0 : left);
        }
        if (ask_due(r) >= 0 && (due < 0 || ask_due(r) < due))
                due = ask_due(r);
        if (r->user && (due < 0 || due > now + USER_CHECK))
                due = now + USER_CHECK;
        return due;
}

static bool has_expired(const struct right *r, int64_t now)
{
        return r->due >= 0 ? now >= r->due : r->grant.expiry == EXPIRY_TIME && time(NULL) >= r->grant.seconds;
}

int64_t grants_deadline(const struct grants *g)
{
        int64_t first = g->unsaved ? host_clock() : -1;
        for (size_t i = 0; i < g->count; i++) {
                int64_t due = due_of(g->rights[i]);
                if (due >= 0 && (first < 0 || due < first))
                        first = due;
        }
        return first;
}

static void save(struct grants *g)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_grant_list struct grant_list kept = {0};
        g->unsaved = false;
        for (size_t i = 0; i < g->count; i++)
                if (g->rights[i]->grant.keep && g->rights[i]->state == RIGHT_ACTIVE)
                        grant_list_add(&kept, &g->rights[i]->grant, &err);
        if (kept_save(warden_directory(g->warden), &kept, &err) < 0)
                audit(g, "not-kept", NULL, err.text);
}

void grants_due(struct grants *g, int64_t now)
{
        for (size_t i = g->count; i-- > 0;) {
                struct right *r = i < g->count ? g->rights[i] : NULL;
                if (!r || r->state == RIGHT_ENDING || r->end_soon)
                        continue;
                ask_expire(r, now);
                if (has_expired(r, now))
                        right_end(r, "expired", NULL);
                else if (r->user && !inside_lives(r->user, r->user_started))
                        right_end(r, "spent", NULL);
        }
        if (g->unsaved)
                save(g);
}

const char *grants_below(const struct grants *g, const char *path)
{
        for (size_t i = 0; i < g->count; i++)
                if (path_is_below(g->rights[i]->grant.inside, path))
                        return g->rights[i]->grant.inside;
        return NULL;
}

void grants_listener(struct grants *g, struct asker asker)
{
        ask_listener(g, asker);
}

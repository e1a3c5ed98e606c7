// SPDX-License-Identifier: GPL-3.0-or-later
/* Giving rights: see granting.h. */
#include "verbs/granting.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "host/living.h"
#include "host/resource.h"
#include "model/kept.h"
#include "verbs/channel.h"

#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>


int granting_open(struct granting *g, const char *name, struct error *err)
{
        g->name = name;
        int result = environment_name_check(name, err);
        if (result == 0)
                result = store_open(&g->store, err);
        if (result == 0)
                result = store_load(&g->store, name, &g->environment, err);
        if (result == 0)
                result = g->directory = store_open_environment(&g->store, name, err);
        if (result < 0)
                return result;
        result = client_open(&g->client, g->directory, err);
        if (result < 0 && err->code)
                return error_context(err, "environment '%s'", name);
        return 0;
}

void granting_close(struct granting *g)
{
        client_close(&g->client);
        environment_clear(&g->environment);
        if (g->directory >= 0)
                close(g->directory);
        store_close(&g->store);
        *g = GRANTING_INIT;
}

int granting_needs_warden(const struct granting *g, struct error *err)
{
        if (g->client.socket >= 0)
                return 0;
        error_set(err, ESRCH, "environment '%s' is not started", g->name);
        return error_remedy(err,
                            "`paddock start %s` starts it; `paddock grant --keep` has it granted at the next start",
                            g->name);
}

char *granting_path(const char *path)
{
        const char *home = getenv("HOME");
        cleanup_free char *cwd = getcwd(NULL, 0);
        if (path[0] == '~' && (!path[1] || path[1] == '/') && home && home[0] == '/')
                return path[1] ? memory_format("%s%s", home, path + 1) : memory_string(home);
        return path[0] == '/' || !cwd ? memory_string(path) : path_join(cwd, path);
}

int granting_sets(struct grant_sets *sets, struct error *err)
{
        cleanup_text struct text problems = {0};
        int result = grant_sets_load(sets, &problems, err);
        if (problems.length)
                fputs(problems.data, stderr);
        return result;
}

char *granting_user(void)
{
        struct passwd *entry = getpwuid(getuid());
        return entry ? memory_string(entry->pw_name) : memory_format("uid %u", (unsigned)getuid());
}

char *granting_time(long long when)
{
        time_t then = (time_t)when, now = time(NULL);
        struct tm a, b;
        char text[64];
        if (!localtime_r(&then, &a) || !localtime_r(&now, &b))
                return memory_format("%lld", when);
        bool today = a.tm_year == b.tm_year && a.tm_yday == b.tm_yday;
        strftime(text, sizeof text, today ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &a);
        return memory_string(text);
}

char *granting_line(const struct grant *grant)
{
        struct text t = {0};
        text_add_escaped(&t, grant->resource);
        bool socket = grant->kind == RESOURCE_SOCKET;
        text_addf(&t, " (%s%s%s%s): %s", resource_word(grant->kind), socket ? "" : ", ",
                  socket ? "" : mode_word(grant->writable), grant->noexec ? ", no-exec" : "",
                  grant->plain ? "plain, what is open stays open when it is revoked" : "revocable");
        if (grant->inside && strcmp(grant->inside, grant->resource) != 0) {
                text_add(&t, ", at ");
                text_add_escaped(&t, grant->inside);
        }
        if (grant->to)
                text_addf(&t, ", to %s", grant->to);
        if (grant->expiry == EXPIRY_TIME) {
                cleanup_free char *when = granting_time(grant->seconds);
                text_addf(&t, ", until %s", when);
        }
        if (grant->once)
                text_add(&t, ", once");
        if (grant->keep)
                text_add(&t, ", kept");
        return t.data;
}

/* ---- one request ---- */

struct parcel {
        int fds[3];
        size_t count;
        char name[64]; /* of the socket in GRANTING_SOCKETS, or "" */
        int sockets;   /* that directory */
};

static void parcel_clear(struct parcel *p)
{
        for (size_t i = 0; i < p->count; i++)
                close(p->fds[i]);
        if (p->name[0])
                unlinkat(p->sockets, p->name, 0);
        if (p->sockets >= 0)
                close(p->sockets);
        *p = (struct parcel){.sockets = -1};
}

/* The environment's first process, or 0. */
static int init_of(struct granting *g)
{
        cleanup_error struct error ignored = ERROR_INIT;
        uint64_t init = 0;
        client_begin(&g->client, MESSAGE_STATUS);
        if (client_call(&g->client, NULL, 0, &ignored) < 0)
                return 0;
        message_get_number(&g->client.answer, TAG_INIT, &init);
        while (client_next(&g->client, &ignored) > 0)
                ;
        return (int)init;
}

/* What is sent along. */
static int pack(struct parcel *p, struct granting *g, const struct resource *r, const struct grant *grant,
                struct error *err)
{
        int fd = grant->plain ? host_resource_mount(r, init_of(g), grant->writable || r->kind == RESOURCE_SOCKET,
                                                    grant->noexec, err)
                              : fcntl(r->fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return err->code ? fd : error_sys(err, errno, "cannot hand it on");
        p->fds[p->count++] = fd;
        if (grant->plain || r->kind != RESOURCE_SOCKET)
                return 0;
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        mkdirat(g->directory, GRANTING_SOCKETS, 0700);
        p->sockets = openat(g->directory, GRANTING_SOCKETS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (p->sockets < 0)
                return error_sys(err, errno, "cannot make a place for sockets in the environment's directory");
        snprintf(p->name, sizeof p->name, "%d-%lld.%09ld", (int)getpid(), (long long)now.tv_sec, now.tv_nsec);
        int tree = -1, listening = host_resource_listen(r, p->sockets, p->name, &tree, err);
        if (listening < 0)
                return listening;
        p->fds[p->count++] = listening;
        p->fds[p->count++] = tree;
        return 0;
}

static void describe(struct message_out *m, const struct grant *g, unsigned gid, const char *by)
{
        message_text(m, TAG_RESOURCE, g->resource);
        message_text(m, TAG_INSIDE, grant_inside(g));
        message_number(m, TAG_KIND,
                       g->kind == RESOURCE_TREE   ? GRANT_TREE
                       : g->kind == RESOURCE_FILE ? GRANT_FILE
                                                  : GRANT_SOCKET);
        message_number(m, TAG_MODE, g->writable ? GRANT_RW : GRANT_RO);
        message_number(m, TAG_FLAGS,
                       (g->noexec ? GRANT_NOEXEC : 0u) | (g->plain ? GRANT_PLAIN : 0u) | (g->keep ? GRANT_KEEP : 0u) |
                               (g->once ? GRANT_ONCE : 0u) | (g->locked ? GRANT_LOCKED : 0u));
        if (g->expiry == EXPIRY_SPAN) {
                message_number(m, TAG_EXPIRY, (uint64_t)(host_clock() / 1000 + g->seconds));
                message_number(m, TAG_CLOCK, CLOCK_OF_BOOT);
        } else if (g->expiry == EXPIRY_TIME) {
                message_number(m, TAG_EXPIRY, (uint64_t)g->seconds);
                message_number(m, TAG_CLOCK, CLOCK_OF_DAY);
        }
        message_text(m, TAG_SET, g->set);
        message_text(m, TAG_BY, by);
        message_text(m, TAG_TO, g->to);
        if (g->to)
                message_number(m, TAG_GID, gid);
}

int granting_bring_server(struct granting *g, enum grant_kind kind, struct error *err)
{
        const char *name = kind == GRANT_CHANNEL  ? "paddock-channel"
                           : kind == GRANT_SOCKET ? "paddock-socket-relay"
                                                  : "paddock-files-grant";
        cleanup_close int server = host_grant_server(name, err);
        if (server < 0)
                return server;
        message_number(client_begin(&g->client, MESSAGE_SERVER), TAG_KIND, kind);
        int result = client_call(&g->client, &server, 1, err);
        if (result == -EEXIST) { /* another was faster */
                error_clear(err);
                result = 1;
        }
        return result;
}

/* What is sent for a grant: GRANT, ASK or REPLY. */
struct letter {
        enum message_type type;
        const char *by;
        uint64_t question;
        enum verdict verdict;
};

static int send_letter(struct granting *g, const struct letter *letter, const struct grant *asked, uint64_t *id,
                       struct error *err)
{
        cleanup_resource struct resource r = RESOURCE_NONE;
        cleanup_grant struct grant grant;
        cleanup_free char *path = granting_path(asked->resource), *state = store_path();
        struct parcel parcel = {.sockets = -1};
        grant_copy(&grant, asked);
        unsigned gid = 0;
        int result = host_resource_open(&r, path, grant.writable, g->own ? NULL : state, err);
        if (result == 0 && grant.to && letter->type != MESSAGE_REPLY)
                result = granting_identity(g, grant.to, &gid, err);
        if (result < 0)
                return result;
        if (r.linked && !asked->set) {
                cleanup_free char *shown = text_escape(r.path);
                fprintf(stderr, "paddock: what is granted is %s\n", shown);
        }
        free(grant.resource);
        grant.resource = memory_string(r.path);
        grant.kind = r.kind;
        if (grant.inside) {
                cleanup_free char *place = granting_path(grant.inside);
                free(grant.inside);
                grant.inside = path_clean("/", place);
        }
        for (int tries = 0; tries < 3; tries++) {
                result = letter->type == MESSAGE_ASK ? 0 : pack(&parcel, g, &r, &grant, err);
                if (result == 0) {
                        struct message_out *m = client_begin(&g->client, letter->type);
                        if (letter->type == MESSAGE_REPLY) {
                                message_number(m, TAG_QUESTION, letter->question);
                                message_number(m, TAG_VERDICT, letter->verdict);
                                message_text(m, TAG_BY, letter->by);
                        } else {
                                describe(m, &grant, gid, letter->by);
                        }
                        result = client_call(&g->client, parcel.fds, parcel.count, err);
                }
                uint64_t need = 0;
                bool again = result < 0 && g->client.socket >= 0 && g->client.answer.header.type == MESSAGE_ERROR &&
                             message_get_number(&g->client.answer, TAG_NEED, &need);
                parcel_clear(&parcel);
                if (!again)
                        break;
                error_clear(err);
                result = granting_bring_server(g, (enum grant_kind)need, err);
                if (result < 0)
                        break;
        }
        if (result > 0 && id)
                message_get_number(&g->client.answer, TAG_GRANT, id);
        return result < 0 ? result : 0;
}

int granting_give(struct granting *g, const struct grant *grant, const char *by, uint64_t *id, struct error *err)
{
        return send_letter(g, &(struct letter){.type = MESSAGE_GRANT, .by = by}, grant, id, err);
}

int granting_ask(struct granting *g, const struct grant *grant, const char *by, struct error *err)
{
        return send_letter(g, &(struct letter){.type = MESSAGE_ASK, .by = by}, grant, NULL, err);
}

int granting_reply(struct granting *g, uint64_t number, enum verdict verdict, const struct grant *grant, const char *by,
                   struct error *err)
{
        if (verdict != VERDICT_NO)
                return send_letter(g, &(struct letter){MESSAGE_REPLY, by, number, verdict}, grant, NULL, err);
        struct message_out *m = client_begin(&g->client, MESSAGE_REPLY);
        message_number(m, TAG_QUESTION, number);
        message_number(m, TAG_VERDICT, verdict);
        message_text(m, TAG_BY, by);
        int result = client_call(&g->client, NULL, 0, err);
        return result < 0 ? result : 0;
}

int granting_again(struct granting *g)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_grant_sets struct grant_sets sets = {0};
        cleanup_grant_list struct grant_list list = {0}, kept = {0};
        int failed = 0, result = 0;
        bool needs_sets = false;
        for (size_t i = 0; i < g->environment.grants.count; i++)
                needs_sets |= !g->environment.grants.grants[i].resource;
        if (needs_sets)
                result = granting_sets(&sets, &err);
        if (result == 0)
                result = grant_sets_expand(&sets, &g->environment.grants, &list, &err);
        if (result < 0) {
                error_print(stderr, &err);
                error_clear(&err);
                failed = -1;
        }
        if (kept_load(g->directory, &kept, &err) < 0) {
                error_print(stderr, &err);
                error_clear(&err);
                failed = -1;
        }
        /* Outer ones first, so that none covers another. */
        size_t total = list.count + kept.count;
        const struct grant **all = memory_grow(NULL, total + 1, sizeof *all);
        for (size_t i = 0; i < total; i++)
                all[i] = i < list.count ? &list.grants[i] : &kept.grants[i - list.count];
        for (size_t i = 1; i < total; i++)
                for (size_t j = i; j && strlen(grant_inside(all[j])) < strlen(grant_inside(all[j - 1])); j--) {
                        const struct grant *swap = all[j];
                        all[j] = all[j - 1];
                        all[j - 1] = swap;
                }
        for (size_t i = 0; i < total; i++) {
                bool over = all[i]->expiry == EXPIRY_TIME && all[i]->seconds <= time(NULL);
                for (size_t j = 0; all[i]->keep && j < list.count; j++) /* the description says it as well */
                        over |= strcmp(grant_inside(&list.grants[j]), grant_inside(all[i])) == 0;
                if (over)
                        continue;
                if (granting_give(g, all[i], all[i]->keep ? "kept" : "description", NULL, &err) < 0) {
                        error_context(&err, "not granted");
                        error_print(stderr, &err);
                        error_clear(&err);
                        failed = -1;
                }
        }
        free(all);
        if (channels_again(g) < 0)
                failed = -1;
        client_begin(&g->client, MESSAGE_BEGIN);
        if (client_call(&g->client, NULL, 0, &err) < 0) {
                error_print(stderr, &err);
                failed = -1;
        }
        return failed;
}

void held_clear(struct held *h)
{
        grant_clear(&h->grant);
        free(h->by);
}

void held_read(struct held *h, const struct message *m)
{
        uint64_t kind = 0, mode = 0, flags = 0, expiry = 0;
        struct grant *g = &h->grant;
        *h = (struct held){0};
        message_get_number(m, TAG_GRANT, &h->id);
        message_get_number(m, TAG_SINCE, &h->since);
        message_get_number(m, TAG_USED, &h->used);
        message_get_number(m, TAG_KIND, &kind);
        message_get_number(m, TAG_MODE, &mode);
        message_get_number(m, TAG_FLAGS, &flags);
        h->by = message_get_text(m, TAG_BY, 256);
        g->resource = message_get_text(m, TAG_RESOURCE, 4096);
        g->inside = message_get_text(m, TAG_INSIDE, 4096);
        g->set = message_get_text(m, TAG_SET, 64);
        g->to = message_get_text(m, TAG_TO, 32);
        g->kind = kind == GRANT_CHANNEL ? RESOURCE_CHANNEL : kind == GRANT_SOCKET ? RESOURCE_SOCKET : kind == GRANT_FILE ? RESOURCE_FILE : RESOURCE_TREE;
        g->writable = mode == GRANT_RW;
        g->noexec = flags & GRANT_NOEXEC;
        g->plain = flags & GRANT_PLAIN;
        g->keep = flags & GRANT_KEEP;
        g->once = flags & GRANT_ONCE;
        g->locked = flags & GRANT_LOCKED;
        h->asks = flags & GRANT_ASKS;
        if (message_get_number(m, TAG_EXPIRY, &expiry)) {
                g->expiry = EXPIRY_TIME;
                g->seconds = (long long)expiry;
        }
        if (!g->resource)
                g->resource = memory_string("?");
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock grants`: who holds what, since when, by whose word, until when, used when. */
#include "base/cleanup.h"
#include "model/kept.h"
#include "verbs/granting.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <jansson.h>
#include <string.h>

struct request {
        const char *name;
        bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        if (key == 'j')
                r->json = true;
        else if (key == ARGP_KEY_ARG && !r->name)
                r->name = arg;
        else if (key == ARGP_KEY_ARG)
                argp_error(state, "one environment at a time");
        else if (key == ARGP_KEY_NO_ARGS)
                argp_error(state, "which environment?");
        else
                return ARGP_ERR_UNKNOWN;
        return 0;
}

static void print_one(const struct held *h)
{
        const struct grant *g = &h->grant;
        cleanup_text struct text t = {0};
        cleanup_free char *since = h->id ? granting_time((long long)h->since) : memory_string("next start");
        cleanup_free char *until = g->expiry == EXPIRY_TIME ? granting_time(g->seconds)
                                   : g->expiry == EXPIRY_SPAN ? grant_span(g->seconds) : memory_string("-");
        cleanup_free char *used = h->used ? granting_time((long long)h->used)
                                          : memory_string(g->plain && h->id ? "?" : "-");
        char id[32];
        snprintf(id, sizeof id, h->id ? "%llu" : "-", (unsigned long long)h->id);
        text_addf(&t, "%5s  %-7s  %-2s  %-9s  %-10s  %-10s  %-10s  %-11s  ", id, resource_word(g->kind),
                  g->kind == RESOURCE_SOCKET || g->kind == RESOURCE_CHANNEL ? "-" : mode_word(g->writable),
                  h->asks    ? "asks"
                  : g->plain ? "plain"
                             : "revocable",
                  since, until, used, h->by ? h->by : "-");
        text_add_escaped(&t, g->resource);
        if (g->inside && strcmp(g->inside, g->resource) != 0) {
                text_add(&t, " at ");
                text_add_escaped(&t, g->inside);
        }
        if (g->to)
                text_addf(&t, " to %s", g->to);
        const struct {
                bool is;
                const char *word;
        } words[] = {{g->noexec, "no-exec"}, {g->once, "once"}, {g->keep, "kept"}, {g->locked, "locked"}};
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                if (words[i].is)
                        text_addf(&t, " [%s]", words[i].word);
        if (g->set)
                text_addf(&t, " [set %s]", g->set);
        puts(t.data);
}

static json_t *json_one(const struct held *h)
{
        const struct grant *g = &h->grant;
        json_t *one = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b}", "kind", resource_word(g->kind), "mode",
                                mode_word(g->writable), "type",
                                h->asks    ? "asks"
                                : g->plain ? "plain"
                                           : "revocable",
                                "active", h->id != 0, "no-exec", g->noexec, "once", g->once, "kept", g->keep, "locked",
                                g->locked);
        json_object_set_new(one, "resource", json_name(g->resource));
        json_object_set_new(one, "inside", json_name(grant_inside(g)));
        if (h->id) {
                json_object_set_new(one, "id", json_integer((json_int_t)h->id));
                json_object_set_new(one, "since", json_integer((json_int_t)h->since));
        }
        if (h->used)
                json_object_set_new(one, "used", json_integer((json_int_t)h->used));
        if (g->expiry != EXPIRY_NEVER)
                json_object_set_new(one, g->expiry == EXPIRY_TIME ? "until" : "for", json_integer(g->seconds));
        if (h->by)
                json_object_set_new(one, "by", json_name(h->by));
        if (g->set)
                json_object_set_new(one, "set", json_name(g->set));
        if (g->to)
                json_object_set_new(one, "to", json_name(g->to));
        return one;
}

static void show(const struct held *h, json_t *array, size_t *count)
{
        if (array)
                json_array_append_new(array, json_one(h));
        else if (!(*count)++)
                printf("%5s  %-7s  %-2s  %-9s  %-10s  %-10s  %-10s  %-11s  %s\n", "ID", "KIND", "  ", "TYPE", "SINCE",
                       "UNTIL", "USED", "BY", "RESOURCE");
        if (!array)
                print_one(h);
}

/* What its warden has given. */
static int show_held(struct granting *g, json_t *array, struct error *err)
{
        size_t count = 0;
        client_begin(&g->client, MESSAGE_GRANTS);
        int result = client_call(&g->client, NULL, 0, err); /* first how many there are */
        while (result > 0 && (result = client_next(&g->client, err)) > 0) {
                struct held h;
                held_read(&h, &g->client.answer);
                show(&h, array, &count);
                held_clear(&h);
        }
        return result;
}

/* What will be given when it is started. */
static int show_later(struct granting *g, json_t *array, struct error *err)
{
        size_t count = 0;
        cleanup_grant_list struct grant_list kept = {0}, described = {0};
        cleanup_grant_sets struct grant_sets sets = {0};
        int result = granting_sets(&sets, err);
        if (result == 0)
                result = grant_sets_expand(&sets, &g->environment.grants, &described, err);
        if (result == 0)
                result = kept_load(g->directory, &kept, err);
        for (size_t i = 0; result == 0 && i < described.count + kept.count; i++) {
                bool is_kept = i >= described.count;
                struct held h = {.by = (char *)(is_kept ? "kept" : "description")};
                h.grant = is_kept ? kept.grants[i - described.count] : described.grants[i];
                show(&h, array, &count);
        }
        return result;
}

int verb_grants(int argc, char **argv)
{
        static const struct argp_option options[] = {{"json", 'j', NULL, 0, "print JSON", 0}, {0}};
        static const struct argp argp = {options,
                                         parse,
                                         "NAME",
                                         "Show what an environment was granted: what, since when, until when, when it "
                                         "was used first, and by "
                                         "whose word. Of one that is not started: what it will be granted.",
                                         0,
                                         0,
                                         0};
        cleanup_error struct error err = ERROR_INIT;
        cleanup_granting struct granting g = GRANTING_INIT;
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        json_t *array = r.json ? json_array() : NULL;
        int result = granting_open(&g, r.name, &err);
        if (result == 0)
                result = g.client.socket < 0 ? show_later(&g, array, &err) : show_held(&g, array, &err);
        if (result < 0) {
                json_decref(array);
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        return array ? print_json(array) : fflush(stdout) == EOF ? EXIT_PADDOCK : 0;
}

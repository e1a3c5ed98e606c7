// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock channel`: named links between a running environment and the outside, or another environment. */
#include "verbs/channel.h"

#include "base/cleanup.h"
#include "model/kept.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <jansson.h>
#include <string.h>

enum { OPTION_OUTSIDE = 0x100, OPTION_INSIDE, OPTION_TO, OPTION_REMOVE, OPTION_CALL, OPTION_KEEP };

struct request {
        const char *name, *remove, *call;
        struct channel_plan plan;
        bool json, keep;
};

static void lead(struct request *r, struct argp_state *state, enum channel_leads leads, const char *where)
{
        if (r->plan.leads)
                argp_error(state, "--outside, --inside and --to exclude each other");
        r->plan.leads = leads;
        /* What is kept means the same wherever it is read. */
        r->plan.where = leads == LEADS_OUTSIDE ? granting_path(where) : memory_string(where);
}

static void parse_word(struct request *r, char *arg, struct argp_state *state)
{
        struct channel_plan *plan = &r->plan;
        if (!r->name) {
                r->name = arg;
        } else if (!plan->name) {
                plan->name = memory_string(arg);
        } else if (plan->form == FORM_NONE) {
                plan->form = channel_form_of(arg);
                if (plan->form == FORM_NONE)
                        argp_error(state, "'%s' is no kind of channel: stream, messages, port, files, exec", arg);
                if (plan->form == FORM_EXEC) /* what follows is for others */
                        while (state->next < state->argc)
                                channel_plan_word(plan, state->argv[state->next++]);
        } else {
                cleanup_free char *path = plan->form == FORM_FILES ? granting_path(arg) : memory_string(arg);
                channel_plan_word(plan, path);
        }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        switch (key) {
        case OPTION_OUTSIDE:
                lead(r, state, LEADS_OUTSIDE, arg);
                break;
        case OPTION_INSIDE:
                lead(r, state, LEADS_INSIDE, arg);
                break;
        case OPTION_TO:
                lead(r, state, LEADS_OTHER, arg);
                break;
        case OPTION_REMOVE:
                r->remove = arg;
                break;
        case OPTION_CALL:
                r->call = arg;
                break;
        case OPTION_KEEP:
                r->keep = true;
                break;
        case 'j':
                r->json = true;
                break;
        case ARGP_KEY_ARG:
                parse_word(r, arg, state);
                break;
        case ARGP_KEY_END:
                if (!r->name)
                        argp_error(state, r->call ? "which command?" : "which environment?");
                if (r->plan.name && r->plan.form == FORM_NONE)
                        argp_error(state, "which kind: stream, messages, port, files, exec?");
                if (r->plan.leads && r->plan.form != FORM_STREAM && r->plan.form != FORM_MESSAGES)
                        argp_error(state, "--outside, --inside and --to are for stream and messages");
                if (r->keep && !r->plan.name)
                        argp_error(state, "--keep is for a channel that is opened");
                break;
        default:
                return ARGP_ERR_UNKNOWN;
        }
        return 0;
}

/* Has it opened at every start from now on. */
static int keep(struct granting *g, const struct channel_plan *plan, struct error *err)
{
        cleanup_channel_plans struct channel_plans kept = {0};
        int result = kept_channels_load(g->directory, &kept, err);
        if (result == 0)
                result = channel_plans_add(&kept, plan, err);
        if (result == -EEXIST)
                error_remedy(err, "`paddock channel %s --remove %s` forgets the one that is kept", g->name, plan->name);
        return result < 0 ? result : kept_channels_save(g->directory, &kept, err);
}

static int add(struct granting *g, const struct request *r, struct error *err)
{
        cleanup_free char *by = granting_user(), *line = NULL;
        const struct channel_plan *plan = &r->plan;
        int result = channel_plan_check(plan, err);
        if (result == 0 && r->keep && channel_plans_find(&g->environment.channels, plan->name))
                result = error_set(err, EEXIST, "the description of '%s' has a channel '%s'", g->name, plan->name);
        if (result == 0 && g->client.socket >= 0)
                result = channel_open(g, plan, by, &line, err);
        if (result == 0 && r->keep && (result = keep(g, plan, err)) < 0 && line) {
                uint64_t lost;
                cleanup_error struct error unheard = ERROR_INIT;
                channel_close(g, plan->name, &lost, &unheard);
        }
        if (result == 0 && line)
                printf("%s%s\n", line, r->keep ? ", kept" : "");
        else if (result == 0)
                printf("%s: " CHANNEL_PLACE "/%s, from the next start on\n", g->name, plan->name);
        return result;
}

/* A row of `paddock channel NAME`. `word` says when it is opened besides: "described", "kept" or NULL. */
struct row {
        const char *name, *kind, *outside, *word;
        uint64_t id, since, used; /* 0: not opened, not used */
};

static void show(const struct row *row, json_t *array, size_t *count)
{
        if (array) {
                cleanup_free char *inside = memory_format(CHANNEL_PLACE "/%s", row->name);
                json_t *one = json_pack("{s:s, s:s, s:b, s:b}", "name", row->name, "kind", row->kind, "kept",
                                        row->word && strcmp(row->word, "kept") == 0, "described",
                                        row->word && strcmp(row->word, "described") == 0);
                if (row->id) {
                        json_object_set_new(one, "id", json_integer((json_int_t)row->id));
                        json_object_set_new(one, "since", json_integer((json_int_t)row->since));
                }
                json_object_set_new(one, "inside", json_name(inside));
                json_object_set_new(one, "outside", json_name(row->outside));
                json_object_set_new(one, "used", row->used ? json_integer((json_int_t)row->used) : json_null());
                json_array_append_new(array, one);
                return;
        }
        cleanup_free char *since = row->id ? granting_time((long long)row->since) : memory_string("next start");
        cleanup_free char *used = row->used ? granting_time((long long)row->used) : memory_string("-");
        cleanup_free char *shown = text_escape(row->outside);
        if (!(*count)++)
                printf("%-16s  %-8s  %-10s  %-10s  %s\n", "NAME", "KIND", "SINCE", "USED", "OUTSIDE");
        printf("%-16s  %-8s  %-10s  %-10s  %s%s%s%s\n", row->name, row->kind, since, used, shown,
               row->word ? " [" : "", row->word ? row->word : "", row->word ? "]" : "");
}

struct listing {
        json_t *array;
        size_t count;
        struct channel_plans kept;
        const struct channel_plans *described;
};

static const char *word_of(const struct listing *l, const char *name)
{
        return channel_plans_find(l->described, name) ? "described"
               : channel_plans_find(&l->kept, name)   ? "kept"
                                                      : NULL;
}

static void show_held(struct listing *l, const struct held *h)
{
        const struct grant *g = &h->grant;
        size_t prefix = strlen(CHANNEL_PLACE "/");
        if (strncmp(g->inside ? g->inside : "", CHANNEL_PLACE "/", prefix) != 0)
                return;
        const char *space = g->kind == RESOURCE_CHANNEL ? strchr(g->resource, ' ') : NULL;
        cleanup_free char *kind = space ? memory_format("%.*s", (int)(space - g->resource), g->resource)
                                        : memory_string(g->kind == RESOURCE_SOCKET ? "stream" : "files");
        struct row row = {.name = g->inside + prefix, .kind = kind, .outside = space ? space + 1 : g->resource,
                          .id = h->id, .since = h->since, .used = h->used};
        row.word = word_of(l, row.name);
        show(&row, l->array, &l->count);
}

/* What is not opened yet: of one that does not run. */
static void show_planned(struct listing *l, const struct channel_plans *plans)
{
        for (size_t i = 0; i < plans->count; i++) {
                const struct channel_plan *plan = &plans->items[i];
                cleanup_text struct text outside = {0};
                text_add(&outside, plan->where ? plan->where : "");
                for (size_t n = 0; n < plan->count; n++)
                        text_addf(&outside, "%s%s", n ? plan->form == FORM_PORT ? " > " : " " : "", plan->words[n]);
                struct row row = {.name = plan->name, .kind = channel_form_word(plan->form),
                                  .outside = outside.data && outside.length ? outside.data : "-",
                                  .word = word_of(l, plan->name)};
                if (plans == l->described || !channel_plans_find(l->described, plan->name))
                        show(&row, l->array, &l->count);
        }
}

static int list(struct granting *g, bool json, struct error *err)
{
        struct listing l = {.array = json ? json_array() : NULL, .described = &g->environment.channels};
        int result = kept_channels_load(g->directory, &l.kept, err);
        if (result == 0 && g->client.socket < 0) {
                show_planned(&l, l.described);
                show_planned(&l, &l.kept);
        } else if (result == 0) {
                client_begin(&g->client, MESSAGE_GRANTS);
                result = client_call(&g->client, NULL, 0, err);
                while (result > 0 && (result = client_next(&g->client, err)) > 0) {
                        struct held h;
                        held_read(&h, &g->client.answer);
                        show_held(&l, &h);
                        held_clear(&h);
                }
        }
        if (result < 0)
                json_decref(l.array);
        else if (json)
                result = print_json(l.array) ? error_set(err, EIO, "cannot print") : 0;
        channel_plans_clear(&l.kept);
        return result;
}

static int end_one(struct granting *g, const struct request *r, struct error *err)
{
        uint64_t lost = 0;
        int result = channel_name_check(r->remove, err);
        int forgotten = result == 0 ? result = channels_forget(g, r->remove, err) : 0;
        if (result < 0)
                return result;
        if (g->client.socket < 0 && !forgotten)
                return error_set(err, ENOENT, "'%s' has no channel '%s' that is kept, and is not started", g->name,
                                 r->remove);
        result = g->client.socket < 0 ? 0 : channel_close(g, r->remove, &lost, err);
        if (result < 0 && forgotten) { /* it was taken back already, or never opened */
                error_clear(err);
                result = 0;
        }
        if (result == 0 && lost)
                printf("%s: %llu bytes reached nobody\n", g->name, (unsigned long long)lost);
        if (result == 0 && forgotten)
                printf("%s: '%s' is not kept any more\n", g->name, r->remove);
        return result;
}

int verb_channel(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"outside", OPTION_OUTSIDE, "PATH", 0, "a program outside listens there (stream, messages)", 0},
                {"inside", OPTION_INSIDE, "PATH", 0, "a program inside listens there (stream, messages)", 0},
                {"to", OPTION_TO, "NAME", 0, "to another environment instead of the outside (stream, messages)", 0},
                {"remove", OPTION_REMOVE, "CHANNEL", 0, "end this one, with all its connections", 0},
                {"call", OPTION_CALL, "SOCKET", 0, "inside: ask for a command of an exec channel", 0},
                {"keep", OPTION_KEEP, NULL, 0, "at later starts as well", 0},
                {"json", 'j', NULL, 0, "print JSON", 0},
                {0}};
        static const struct argp argp =
                {options,
                 parse,
                 "NAME\nNAME CHANNEL stream|messages\nNAME CHANNEL port FROM TO\nNAME CHANNEL files [DIRECTORY]\n"
                 "NAME CHANNEL exec COMMAND /PROGRAM [ARGUMENT...] [-- COMMAND ...]\nNAME --remove CHANNEL\n"
                 "--call SOCKET COMMAND",
                 "Link a running environment with the outside, list such links, and end them.\v"
                 "Inside a channel is " CHANNEL_PLACE "/CHANNEL. FROM and TO are outside:[ADDRESS:]PORT or "
                 "inside:[ADDRESS:]PORT, or a name instead of the port. It is a grant: `paddock grants` shows it, "
                 "`paddock logs --audit` what became of it.",
                 0,
                 0,
                 0};
        cleanup_error struct error err = ERROR_INIT;
        cleanup_granting struct granting g = GRANTING_INIT;
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &r))
                return EXIT_PADDOCK;
        if (r.call)
                return channel_call(r.call, r.name);
        int result = granting_open(&g, r.name, &err);
        if (result == 0 && g.client.socket < 0 && r.plan.name && !r.keep) {
                error_set(&err, ESRCH, "environment '%s' is not started", r.name);
                result = error_remedy(&err, "`paddock start %s` starts it; --keep has it opened then", r.name);
        }
        if (result == 0)
                result = r.remove ? end_one(&g, &r, &err) : r.plan.name ? add(&g, &r, &err) : list(&g, r.json, &err);
        if (result < 0)
                error_print(stderr, &err);
        channel_plan_clear(&r.plan);
        return result < 0 || fflush(stdout) == EOF ? EXIT_PADDOCK : 0;
}

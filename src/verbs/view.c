// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `paddock view`: the rules of an environment, shown, and changed while it runs.
 *
 * The two plans, before and after, are compared here (plan/change.h); each subtree that they differ in goes to the warden as one
 * request, which is carried out at once as seen from inside. Meanwhile the set-up lock keeps others from changing the same view.
 */
#include "base/cleanup.h"
#include "host/host.h"
#include "model/live.h"
#include "model/store.h"
#include "plan/change.h"
#include "verbs/cover.h"
#include "verbs/options.h"
#include "verbs/session.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

enum { OPTION_KEEP = 0x400 };

struct request {
        const char *name, *verb;
        char **words;
        int count, capacity;
        bool json, keep;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        switch (key) {
        case 'j':
                r->json = true;
                return 0;
        case OPTION_KEEP:
                r->keep = true;
                return 0;
        case ARGP_KEY_ARG:
                if (!r->name)
                        r->name = arg;
                else if (!r->verb)
                        r->verb = arg;
                else
                        *vector_add(r->words, r->count, r->capacity) = arg;
                return 0;
        case ARGP_KEY_END:
                if (!r->name)
                        argp_error(state, "which environment?");
                if (r->verb && strcmp(r->verb, "add") != 0 && strcmp(r->verb, "rm") != 0)
                        argp_error(state, "%s: it is 'add' or 'rm'", r->verb);
                if (r->verb && strcmp(r->verb, "add") == 0 && (!r->count || r->count % 2))
                        argp_error(state, "add what? RULE PATH, such as: add share ~/out");
                if (r->verb && strcmp(r->verb, "rm") == 0 && !r->count)
                        argp_error(state, "the rule on which path?");
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static void take_away(struct view *view, const char *path)
{
        size_t kept = 0;
        for (size_t i = 0; i < view->count; i++) {
                struct rule *rule = &view->rules[i];
                if (strcmp(rule->path, path) != 0) {
                        view->rules[kept++] = *rule;
                        continue;
                }
                while (rule->source_count)
                        free(rule->sources[--rule->source_count]);
                free(rule->sources);
                free(rule->path);
        }
        view->count = kept;
}

static const struct rule *rule_on(const struct view *view, const char *path)
{
        for (size_t i = 0; i < view->count; i++)
                if (strcmp(view->rules[i].path, path) == 0)
                        return &view->rules[i];
        return NULL;
}

/* One rule as it is written after `add`. An older one on the same path gives way. */
static int add_rule(struct environment *e, const char *word, const char *arg, const char *cwd, struct error *err)
{
        int kind = rule_from_word(word);
        if (kind < 0) {
                const char *words[RULE_KINDS + 1] = {0};
                for (int i = 0; i < RULE_KINDS; i++)
                        words[i] = rule_word((enum rule_kind)i);
                const char *near = text_nearest(word, words);
                cleanup_free char *shown = text_escape(word);
                error_set(err, EINVAL, "there is no rule '%s'", shown);
                return error_remedy(err, near ? "did you mean '%s'?" : "rules are private, mirror, share, empty, hide, from and union%s",
                                    near ? near : "");
        }
        cleanup_environment struct environment one = {0};
        bool given;
        int result = option_apply(&one, OPTION_PRIVATE + kind, arg, cwd, &given, err);
        if (result < 0)
                return result;
        const struct rule *rule = &one.view.rules[0];
        take_away(&e->view, rule->path);
        return view_add(&e->view, rule->kind, rule->path, (const char *const *)rule->sources, rule->source_count, err);
}

static int remove_rule(struct environment *e, const char *arg, const char *cwd, struct error *err)
{
        cleanup_environment struct environment one = {0};
        bool given;
        int result = option_apply(&one, OPTION_MIRROR, arg, cwd, &given, err); /* makes the name what it is in rules */
        if (result < 0)
                return result;
        const char *path = one.view.rules[0].path;
        if (!rule_on(&e->view, path)) {
                cleanup_free char *shown = text_escape(path);
                error_set(err, ENOENT, "there is no rule on %s", shown);
                return error_remedy(err, "`paddock view %s` lists the rules", e->name ? e->name : "NAME");
        }
        take_away(&e->view, path);
        return 0;
}

/* What was asked for, done to a description. */
static int apply(const struct request *r, struct environment *e, struct error *err)
{
        cleanup_free char *cwd = getcwd(NULL, 0);
        int result = 0;
        if (strcmp(r->verb, "add") == 0)
                for (int i = 0; result == 0 && i < r->count; i += 2)
                        result = add_rule(e, r->words[i], r->words[i + 1], cwd, err);
        else
                for (int i = 0; result == 0 && i < r->count; i++)
                        result = remove_rule(e, r->words[i], cwd, err);
        return result;
}

static void print_rules(const struct environment *e, const struct environment *stored)
{
        for (size_t i = 0; i < e->view.count; i++) {
                const struct rule *rule = &e->view.rules[i];
                cleanup_text struct text t = {0};
                text_addf(&t, "%-8s ", rule_word(rule->kind));
                text_add_escaped(&t, rule->path);
                for (size_t s = 0; s < rule->source_count; s++) {
                        text_add(&t, s ? ":" : "=");
                        text_add_escaped(&t, rule->sources[s]);
                }
                const struct rule *old = rule_on(&stored->view, rule->path);
                puts(t.data);
                if (!old || old->kind != rule->kind)
                        fputs("         since it was started, and until it stops\n", stdout);
        }
        for (size_t i = 0; i < stored->view.count; i++)
                if (!rule_on(&e->view, stored->view.rules[i].path)) {
                        cleanup_free char *shown = text_escape(stored->view.rules[i].path);
                        printf("(%s)%*s %s\n         taken away until it stops\n", rule_word(stored->view.rules[i].kind),
                               (int)(6 - strlen(rule_word(stored->view.rules[i].kind))), "", shown);
                }
}

static int print_rules_json(const struct environment *e)
{
        json_t *array = json_array();
        for (size_t i = 0; i < e->view.count; i++) {
                const struct rule *rule = &e->view.rules[i];
                json_t *one = json_object(), *sources = json_array();
                json_object_set_new(one, "rule", json_string(rule_word(rule->kind)));
                json_object_set_new(one, "path", json_name(rule->path));
                for (size_t s = 0; s < rule->source_count; s++)
                        json_array_append_new(sources, json_name(rule->sources[s]));
                if (rule->source_count)
                        json_object_set_new(one, "sources", sources);
                else
                        json_decref(sources);
                json_array_append_new(array, one);
        }
        return print_json(array);
}

/* Plans both views on the main system as it is now. */
static int resolve(struct session *s, const struct live *live, const struct environment *new, struct system *system, struct plan *old_plan,
                   struct plan *new_plan, struct error *err)
{
        if (live->cwd && chdir(live->cwd) < 0) /* the plan was made there: anchors depend on it */
                (void)!chdir("/");
        cleanup_free char *state = store_path();
        int result = host_survey(system, state, state, err);
        if (result == 0 && new->identity == IDENTITY_ROOT && !system->superuser)
                host_survey_ids(system);
        struct slots slots = {0};
        if (result == 0)
                result = slots_load(s->directory, &slots, err);
        if (result == 0)
                result = plan_resolve(old_plan, &live->environment, system, &slots, err);
        if (result == 0)
                result = slots_load(s->directory, &slots, err);
        if (result == 0)
                result = plan_resolve(new_plan, new, system, &slots, err);
        return result < 0 ? result : session_chain(s, new_plan, err);
}

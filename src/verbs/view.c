// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `paddock view`: the rules of an environment, shown, and changed while it runs.
 *
 * The two plans, before and after, are compared here (plan/change.h); each subtree that they differ in goes to the
 * warden as one request, which is carried out at once as seen from inside. Meanwhile the set-up lock keeps others from
 * changing the same view.
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
#include "warden/client.h"

#include <argp.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>

enum { OPTION_KEEP = 0x4000 };

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
                return error_remedy(err,
                                    near ? "did you mean '%s'?"
                                         : "rules are private, mirror, share, empty, hide, from and union%s",
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
                        printf("(%s)%*s %s\n         taken away until it stops\n",
                               rule_word(stored->view.rules[i].kind),
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

/* A slot that was made since the start, for a rule, is shown while there is that rule: by itself it would be shown over
 * what lies there outside. */
static void let_rest(struct slots *slots, const struct live *live, const struct environment *e,
                     const struct system *system)
{
        for (size_t i = 0; i < slots->count; i++) {
                struct slot *slot = &slots->slots[i];
                slot->idle = true;
                for (size_t n = 0; n < live->slot_count; n++)
                        slot->idle &= live->slots[n] != slot->number;
                for (size_t n = 0; n < e->view.count; n++) {
                        const char *path = e->view.rules[n].path;
                        cleanup_free char *whole = path[0] == '~'
                                                           ? memory_format("%s%s", system->home ? system->home : "",
                                                                           path + 1)
                                                           : memory_string(path);
                        slot->idle &= strcmp(whole, slot->path) != 0;
                }
        }
}

/* Plans both views on the main system as it is now. */
static int resolve(struct session *s, const struct live *live, const struct environment *new, struct system *system,
                   struct plan *old_plan, struct plan *new_plan, struct error *err)
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
        let_rest(&slots, live, &live->environment, system);
        if (result == 0)
                result = plan_resolve(old_plan, &live->environment, system, &slots, err);
        if (result == 0)
                result = slots_load(s->directory, &slots, err);
        let_rest(&slots, live, new, system);
        if (result == 0)
                result = plan_resolve(new_plan, new, system, &slots, err);
        return result < 0 ? result : session_chain(s, new_plan, err);
}

/* One request to the warden. */
static int carry_out(struct client *c, const struct plan_change *change, const struct slots *slots, struct error *err)
{
        cleanup_free char *text = plan_change_encode(change, slots);
        size_t length = strlen(text);
        cleanup_close int memory = memfd_create("paddock-change", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (memory < 0 || write(memory, text, length) != (ssize_t)length ||
            fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
                return error_sys(err, errno, "cannot send the change of %s", change->path);
        client_begin(c, MESSAGE_VIEW);
        return client_call(c, &memory, 1, err);
}

/* What a slot lies over is recorded as at a start. */
static int record_slots(const struct session *s, const struct plan *plan, const struct plan_change *change,
                        const bool *fresh, struct error *err)
{
        for (size_t i = 0; i < change->count; i++) {
                int slot = change->steps[i].keep ? -1 : change->steps[i].op->slot;
                for (size_t n = 0; slot >= 0 && n < plan->slots.count; n++) {
                        if ((int)plan->slots.slots[n].number != slot)
                                continue;
                        int result = cover_record(s->directory, plan, &plan->slots.slots[n], fresh[n], &s->began, err);
                        if (result < 0)
                                return result;
                }
        }
        return 0;
}

/* Which slots of the plan are not on disk yet. Fresh memory. */
static bool *fresh_slots(const struct session *s, const struct plan *plan)
{
        bool *fresh = memory_new(plan->slots.count + 1);
        for (size_t i = 0; i < plan->slots.count; i++) {
                cleanup_free char *path = memory_format("layer/%u/path", plan->slots.slots[i].number);
                fresh[i] = faccessat(s->directory, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
        }
        return fresh;
}

/* From the view as it is to `new`. */
static int change_living(struct session *s, struct client *c, const struct live *live, const struct environment *new,
                         struct error *err)
{
        cleanup_system struct system system = {0};
        cleanup_plan struct plan old_plan = {0}, new_plan = {0};
        cleanup_changes struct plan_changes changes = {0};
        int result = resolve(s, live, new, &system, &old_plan, &new_plan, err);
        if (result == 0)
                result = plan_compare(&old_plan, &new_plan, &system, &changes, err);
        cleanup_free bool *fresh = fresh_slots(s, &new_plan);
        for (size_t i = 0; result >= 0 && i < changes.count; i++) {
                result = carry_out(c, &changes.changes[i], &new_plan.slots, err);
                if (result < 0 && i > 0)
                        error_context(err, "%zu of %zu parts of the change were made, then", i, changes.count);
                if (result >= 0)
                        result = record_slots(s, &new_plan, &changes.changes[i], fresh, err);
        }
        return result < 0 ? result : live_store(s->directory, live, new, err);
}

static int change(const struct request *r, struct session *s, struct environment *stored, struct error *err)
{
        s->setup = openat(s->directory, "setup.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->setup < 0 || flock(s->setup, LOCK_EX) < 0)
                return error_sys(err, errno, "environment '%s': cannot lock it", r->name);
        clock_gettime(CLOCK_REALTIME_COARSE, &s->began); /* the clock of file times */
        cleanup_client struct client c;
        cleanup_live struct live live = {0};
        int result = client_open(&c, s->directory, err);
        bool lives = result >= 0;
        if (!lives && (err->code || (result != -ECONNREFUSED && result != -ENOENT)))
                return error_context(err, "environment '%s'", r->name);
        if (!lives && !r->keep) {
                error_set(err, ESRCH, "environment '%s' is not started", r->name);
                return error_remedy(err, "`paddock start %s` starts it; --keep changes the description instead",
                                    r->name);
        }
        /* Both descriptions, before anything is done: a mistake in the words changes nothing. */
        cleanup_environment struct environment later = {0}, now = {0};
        environment_copy(&later, stored);
        later.name = memory_string(r->name);
        if (r->keep)
                result = apply(r, &later, err);
        else
                result = 0;
        if (lives && result >= 0)
                result = live_load(s->directory, &live, err);
        if (lives && result >= 0) {
                environment_copy(&now, &live.environment);
                result = apply(r, &now, err);
        }
        if (lives && result >= 0)
                result = change_living(s, &c, &live, &now, err);
        if (lives && result >= 0 && now.identity == IDENTITY_ROOT)
                fprintf(stderr,
                        "paddock: root inside can look below the change, until the environment is started again\n");
        return result >= 0 && r->keep ? store_change(&s->store, &later, err) : result;
}

static int view(const struct request *r, struct error *err)
{
        cleanup_environment struct environment stored = {0};
        cleanup_live struct live live = {0};
        struct session s = SESSION_INIT;
        s.name = r->name;
        int result = environment_name_check(r->name, err);
        if (result == 0)
                result = store_open(&s.store, err);
        if (result == 0)
                result = store_load(&s.store, r->name, &stored, err);
        if (result == 0)
                result = s.directory = store_open_environment(&s.store, r->name, err);
        if (result >= 0 && r->verb) {
                result = change(r, &s, &stored, err);
        } else if (result >= 0) {
                cleanup_client struct client c;
                cleanup_error struct error stopped = ERROR_INIT;
                bool lives = client_open(&c, s.directory, &stopped) >= 0 && live_load(s.directory, &live, err) >= 0;
                const struct environment *e = lives ? &live.environment : &stored;
                if (r->json)
                        result = print_rules_json(e);
                else
                        print_rules(e, &stored);
                error_clear(err);
        }
        cleanup_error struct error leftover = ERROR_INIT;
        session_end(&s, &leftover);
        return result;
}

int verb_view(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"keep", OPTION_KEEP, NULL, 0, "for later starts as well: the description is changed", 0},
                {"json", 'j', NULL, 0, "print the rules as JSON", 0},
                {0}};
        static const struct argp argp = {options,
                                         parse,
                                         "NAME [add RULE PATH... | rm PATH...]",
                                         "List the rules of an environment's view, or change them while it runs.\v"
                                         "RULE is private, mirror, share, empty, hide, from or union; from and union "
                                         "take PATH=SRC and PATH=A:B, as the options of "
                                         "`paddock run` do. A rule that is there on the same path gives way. Programs "
                                         "inside see the old view or the new one, "
                                         "never a part of it; what they have open stays open.\n\n"
                                         "What cannot change while the environment runs is refused, and says so.",
                                         0,
                                         0,
                                         0};
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        int result = view(&r, &err);
        free(r.words);
        if (result >= 0)
                return 0;
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}

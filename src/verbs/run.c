// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock run`: a program in a private copy of the running system. */
#include "base/cleanup.h"
#include "base/path.h"
#include "host/host.h"
#include "verbs/enter.h"
#include "verbs/limits.h"
#include "verbs/request.h"
#include "verbs/session.h"
#include "verbs/verbs.h"
#include "verbs/watch.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Lets the rules and settings of `with` replace those of `e` for this run. */
static int override(struct environment *e, const struct environment *with, struct error *err)
{
        if (with->root != ROOT_HOST) {
                free(e->root_path);
                e->root = with->root;
                e->root_path = with->root_path ? memory_string(with->root_path) : NULL;
        }
        if (with->network_given)
                e->network = with->network;
        for (size_t i = 0; i < with->publish.count; i++) {
                int result = publish_add(&e->publish, &with->publish.items[i], err);
                if (result < 0)
                        return result;
        }
        if (served_is(&with->sockets)) {
                served_clear(&e->sockets);
                served_copy(&e->sockets, &with->sockets);
        }
        e->session |= with->session;
        if (with->hostname) {
                free(e->hostname);
                e->hostname = memory_string(with->hostname);
        }
        limits_override(&e->limits, &with->limits);
        for (size_t i = 0; i < with->view.count; i++) {
                const struct rule *rule = &with->view.rules[i];
                for (size_t j = 0; j < e->view.count; j++)
                        if (strcmp(e->view.rules[j].path, rule->path) == 0)
                                e->view.rules[j].by_default = true; /* gives way */
                int result = view_add(&e->view, rule->kind, rule->path, (const char *const *)rule->sources,
                                      rule->source_count, err);
                if (result < 0)
                        return result;
        }
        for (size_t i = 0; i < with->grants.count; i++) {
                int result = grant_list_add(&e->grants, &with->grants.grants[i], err);
                if (result < 0)
                        return result;
        }
        return 0;
}

/* The layer of a named environment is made for one identity: what one sees in it the other would not. */
static int same_identity(const struct request *r, const struct environment *e, struct error *err)
{
        if (!r->identity || r->options.identity == e->identity)
                return 0;
        error_set(err, EINVAL, "environment '%s' has the identity %s, and keeps it", e->name,
                  identity_word(e->identity));
        return error_remedy(err, "use another name for one with --as %s", identity_word(r->options.identity));
}

/* The description of what is to run: stored, read from a file, or only the options. */
static int describe(struct request *r, struct session *s, struct environment *e, const struct library *library,
                    struct error *err)
{
        if (r->file) {
                cleanup_text struct text problems = {0};
                int result = library->load(e, r->file, &problems, err);
                if (problems.length)
                        fputs(problems.data, stderr);
                if (result < 0)
                        return err->code ? result : error_set(err, EINVAL, "nothing was started");
                free(e->name);
                e->name = NULL;
                if (r->identity)
                        e->identity = r->options.identity;
                return override(e, &r->options, err);
        }
        if (!r->name) {
                environment_copy(e, &r->options);
                return 0;
        }
        int result = environment_name_check(r->name, err);
        if (result == 0)
                result = r->explain ? store_open_existing(&s->store, err) : store_open(&s->store, err);
        if (result < 0 && !(r->explain && result == -ENOENT))
                return result;
        if (result == 0)
                result = store_load(&s->store, r->name, e, err);
        if (result == 0)
                result = same_identity(r, e, err);
        if (result != -ENOENT)
                return result < 0 ? result : override(e, &r->options, err);
        error_clear(err);
        environment_copy(e, &r->options);
        e->name = memory_string(r->name);
        if (r->explain)
                return 0;
        result = store_create(&s->store, e, err);
        if (result == -EEXIST) { /* another run made it meanwhile */
                error_clear(err);
                environment_clear(e);
                result = store_load(&s->store, r->name, e, err);
        }
        return result;
}

char *run_shell(void)
{
        const char *shell = getenv("SHELL");
        return (char *)(shell && shell[0] == '/' ? shell : "/bin/sh");
}

int run_end_like(const struct outcome *outcome)
{
        if (WIFEXITED(outcome->status))
                return WEXITSTATUS(outcome->status);
        int number = WTERMSIG(outcome->status);
        struct rlimit none = {0};
        setrlimit(RLIMIT_CORE, &none); /* the program's core is wanted, not ours */
        signal(number, SIG_DFL);
        sigset_t only;
        sigemptyset(&only);
        sigaddset(&only, number);
        sigprocmask(SIG_UNBLOCK, &only, NULL);
        if (outcome->by_key) /* a script that called us was meant as well */
                kill(0, number);
        raise(number);
        return 128 + number;
}

static int explain(const struct request *r, const struct plan *plan, const struct environment *e,
                   const struct library *library)
{
        if (r->json) {
                library->explain(plan, e);
        } else {
                cleanup_free char *text = plan_explain(plan, e);
                fputs(text, stdout);
        }
        return fflush(stdout) == EOF ? EXIT_PADDOCK : 0;
}

/* The plan made, then explained or carried out. Returns 0 with *exit_status, or a negative errno. */
static int plan_and_run(struct request *r, struct session *s, const struct environment *e, const struct holding *h,
                        const struct library *library, struct outcome *outcome, struct error *err)
{
        cleanup_system struct system system;
        cleanup_plan struct plan plan = {0};
        cleanup_free char *state = store_path();
        /* The state directory is there before anything is shown: what does not exist cannot be covered in a shared
         * tree. */
        cleanup_error struct error nowhere = ERROR_INIT; /* a temporary environment does without, and says so later */
        if (!r->explain && !r->memory && s->store.fd < 0)
                store_open(&s->store, &nowhere);
        int result = host_survey(&system, state, r->memory ? NULL : state, err);
        if (result < 0)
                return result;
        if (e->identity == IDENTITY_ROOT && !system.superuser) {
                host_survey_ids(&system);
                if (system.ids_lack && !r->explain)
                        fprintf(stderr, "paddock: root is the only user inside: %s\n", system.ids_lack);
        }
        bool had_layer = s->slots.count != 0;
        result = plan_resolve(&plan, e, &system, &s->slots, err);
        if (result < 0)
                return result;
        cleanup_free char *why_memory = NULL;
        if (!r->name && !r->explain && plan_has_layer(&plan)) {
                result = session_scratch(s, r->memory, &why_memory, err);
                if (result < 0)
                        return result;
                plan.in_memory = s->directory < 0;
                if (why_memory)
                        fprintf(stderr, "paddock: the layer is in memory, and its size is limited by it: %s\n",
                                why_memory);
        } else if (!r->name && r->explain && plan_has_layer(&plan)) {
                why_memory = session_scratch_in_memory(r->memory);
                plan.in_memory = why_memory != NULL;
                if (why_memory)
                        plan_note(&plan, "the layer is in memory, and its size is limited by it: %s", why_memory);
        }
        if (r->explain && e->limits.value[LIMIT_DISK]) {
                char size[SIZE_WORD];
                plan_note(&plan, "the layer's limit of %s is watched, and told when it is passed; nobody enforces it",
                          size_to_word(e->limits.value[LIMIT_DISK], size));
        }
        if (r->explain) {
                outcome->status = explain(r, &plan, e, library) << 8; /* as wait() has it */
                return 0;
        }
        result = session_chain(s, &plan, err);
        if (result == 0)
                result = session_join(s, &plan, err);
        if (result < 0)
                return result;
        if (s->started)
                return enter_started(s, r->command, NULL, outcome, err);
        if (r->name && e->root == ROOT_HOST && s->join_user < 0)
                session_base(s, had_layer, &system);
        char *fallback[] = {run_shell(), NULL};
        struct launch launch = {.plan = &plan, .argv = r->command ? r->command : fallback, .name = e->name,
                                .state = s->directory, .alive = s->alive, .scratch = !s->name,
                                .scratch_name = s->scratch ? s->scratch : "memory", .system = &system,
                                .join_user = s->join_user, .join_mount = s->join_mount, .join_control = s->join_control,
                                .ready = s->name ? session_ready : NULL, .over = session_over,
                                .limits = &e->limits, .cgroup = h->cgroup, .context = s,
                                .sockets = served_is(&e->sockets) ? &e->sockets : NULL};
        struct watch_size watch = WATCH_NONE;
        uint64_t memory = limits_watched(h, e);
        bool disk = e->limits.value[LIMIT_DISK] && s->directory >= 0 && s->join_user < 0;
        if (s->name)
                limits_record(s->directory, h);
        if ((disk || memory) && library)
                result = library->watch(&watch, disk ? s->directory : -1, memory,
                                        e->name ? e->name : "this environment", e, err);
        if (result < 0)
                return result;
        result = host_run(&launch, outcome, err);
        if (watch.end >= 0)
                library->watched(&watch);
        return result;
}

/* Runs what the request asks for. Returns an exit status. */
static int run_request(struct request *r, const struct library *library)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_environment struct environment e = {0};
        struct session s = SESSION_INIT;
        struct outcome outcome = {.exit_code = EXIT_PADDOCK};
        int result = r->name && !r->given && !r->explain && !r->rebase
                             ? enter_running(r->name, r->command, NULL, &outcome, &err)
                             : 0;
        if (result > 0)
                return run_end_like(&outcome);
        if (result == 0)
                result = describe(r, &s, &e, library, &err);
        struct holding holding = {0};
        bool reads = r->file && strcmp(r->file, "-") == 0; /* from standard input, which cannot be read twice */
        /* What is watched is watched by a process that can measure it. */
        if (result == 0 && (e.limits.value[LIMIT_DISK] || e.limits.value[LIMIT_MEMORY]) && !library && !r->explain) {
                session_end(&s, &err);
                environment_clear(&r->options);
                return RUN_NEEDS_LIBRARY;
        }
        if (result == 0 && (e.grants.count || e.channels.count) && !r->explain) { /* rights need a warden */
                int status = library ? library->granted(r, &e) : RUN_NEEDS_LIBRARY;
                cleanup_error struct error none = ERROR_INIT;
                session_end(&s, &none);
                environment_clear(&r->options);
                return status;
        }
        if (result == 0 && !r->explain)
                limits_prepare(&holding, &e, !reads);
        if (result == 0 && r->name && !r->explain)
                result = session_named(&s, r->name, r->rebase, &err);
        if (result == 0 && e.root == ROOT_IMAGE)
                result = session_image(&s, e.root_path, &err);
        if (result == 0)
                result = plan_and_run(r, &s, &e, &holding, library, &outcome, &err);
        environment_clear(&r->options);
        free(holding.cgroup);
        cleanup_error struct error leftover = ERROR_INIT;
        if (session_end(&s, &leftover) < 0)
                error_print(stderr, &leftover);
        if (result < 0) {
                error_print(stderr, &err);
                return outcome.exit_code;
        }
        return run_end_like(&outcome);
}

int verb_run(int argc, char **argv, const struct library *library)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_free char *cwd = getcwd(NULL, 0);
        struct request r = {.cwd = cwd, .err = &err};
        int parsed = library ? library->parse(&r, argc, argv) : request_parse(&r, argc, argv);
        if (!parsed && !library && (r.file || r.json || r.review))
                parsed = REQUEST_FOR_LIBRARY;
        if (parsed) {
                if (parsed < 0)
                        error_print(stderr, &err);
                environment_clear(&r.options);
                return parsed < 0 ? EXIT_PADDOCK : RUN_NEEDS_LIBRARY;
        }
        if (!r.review)
                return run_request(&r, library);
        int status = library->review(&r, library, run_request);
        environment_clear(&r.options);
        return status;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The resolver on main systems that exist only in memory.
 *
 * The property: for random rules over a random tree with random mounts, what the plan's operations show at each name is
 * what the rules say, worked out by a slow and obvious oracle that knows nothing of mounts, layers and mount points.
 */
#include "base/cleanup.h"
#include "base/path.h"
#include "fake_system.h"
#include "plan/plan.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the oracle ---- */

/* The governing explicit rule, or "/" private. Paths in these tests have no links in them. */
static enum shown oracle(const struct view *view, const struct fake *fake, const char *path, char **outside)
{
        const struct rule *best = NULL;
        *outside = NULL;
        for (size_t i = 0; i < view->count; i++)
                if (path_is_below(path, view->rules[i].path) &&
                    (!best || strlen(view->rules[i].path) > strlen(best->path)))
                        best = &view->rules[i];
        if (best && best->kind == RULE_HIDE)
                return SHOWN_NOTHING;
        if (best && best->kind == RULE_EMPTY)
                return strcmp(best->path, path) == 0 ? SHOWN_OWN : SHOWN_NOTHING;
        const char *rest = best ? path + strlen(best->path) : path;
        *outside = best && best->kind == RULE_FROM ? memory_format("%s%s", best->sources[0], rest)
                                                   : memory_string(path);
        return fake_find(fake, *outside) ? SHOWN_OUTSIDE : SHOWN_NOTHING;
}

/* Does some rule lie below `path`? Then the name exists, to lead there, whatever governs it. */
static bool leads_to_rule(const struct view *view, const char *path)
{
        for (size_t i = 0; i < view->count; i++)
                if (view->rules[i].kind != RULE_HIDE && path_is_below(view->rules[i].path, path))
                        return true;
        return false;
}

static void compare(const struct plan *plan, const struct view *view, const struct fake *fake, const char *path,
                    uint64_t seed)
{
        static const char *const own[] = {"/proc", "/dev", "/run", "/home/u/.state"};
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
                if (path_is_below(path, own[i]))
                        return;
        cleanup_free char *got = NULL, *wanted = NULL;
        enum shown shown = plan_shows(plan, fake, path, &got), want = oracle(view, fake, path, &wanted);
        if (want == SHOWN_NOTHING && leads_to_rule(view, path))
                return;
        if (want == SHOWN_NOTHING && shown == SHOWN_CLOSED)
                return; /* hidden where names cannot be taken away: closed instead */
        if (want == SHOWN_OUTSIDE && shown == SHOWN_OWN && fake_find(fake, wanted)->type == FILE_DIRECTORY)
                for (size_t i = 0; i < plan->count; i++)
                        if (strcmp(plan->ops[i].path, path) == 0 && plan->ops[i].kind == PLAN_SKELETON)
                                return; /* rebuilt: the directory is ours, what it holds is compared by itself */
        bool equal = shown == want && (want != SHOWN_OUTSIDE || strcmp(got, wanted) == 0);
        if (!equal) {
                for (size_t i = 0; i < view->count; i++)
                        print_error("rule %s %s %s\n", rule_word(view->rules[i].kind), view->rules[i].path,
                                    view->rules[i].source_count ? view->rules[i].sources[0] : "");
                fail_msg("seed %lu: %s shows %d %s, wanted %d %s", (unsigned long)seed, path, shown, got ? got : "-",
                         want, wanted ? wanted : "-");
        }
}

static void plans_show_what_rules_say(void **state)
{
        (void)state;
        static const char *const places[] = {
                "/etc", "/etc/hosts", "/etc/sub", "/etc/new", "/etc/new/deep", "/usr", "/usr/bin/true", "/home/u",
                "/home/u/f", "/home/u/d", "/home/u/d/e", "/home/u/d/e/h", "/home/u/d/new", "/home/u/m", "/home/u/m/x",
                "/srv", "/srv/a", "/srv/b", "/srv/b/y", "/new", "/new/er", "/tmp", "/home"};
        static const char *const sources[] = {"/etc", "/usr/bin", "/srv/a", "/home/u/d", "/srv/b"};
        int refused = 0;
        for (uint64_t round = 1; round <= 4000; round++) {
                uint64_t seed = round * 2654435761u;
                cleanup_environment struct environment e = {0};
                unsigned rules = random_below(&seed, 7);
                for (unsigned i = 0; i < rules; i++) {
                        static const enum rule_kind kinds[] = {RULE_PRIVATE, RULE_MIRROR, RULE_SHARE,
                                                               RULE_EMPTY,   RULE_HIDE,   RULE_FROM};
                        enum rule_kind kind = kinds[random_below(&seed, 6)];
                        const char *source = sources[random_below(&seed, 5)];
                        cleanup_error struct error twice = ERROR_INIT;
                        view_add(&e.view, kind, places[random_below(&seed, sizeof places / sizeof *places)], &source,
                                 kind == RULE_FROM, &twice);
                }
                struct system system = ordinary(random_below(&seed, 2));
                system.superuser = random_below(&seed, 4) == 0;
                e.identity = random_below(&seed, 3) == 0 ? IDENTITY_ROOT : IDENTITY_SELF;
                cleanup_plan struct plan plan = {0};
                cleanup_error struct error err = ERROR_INIT;
                if (plan_resolve(&plan, &e, &system, NULL, &err) < 0) {
                        /* Only for rules onto names that cannot be there: each with a reason. */
                        assert_true(err.text && (err.code == ENOENT || err.code == ENOTDIR));
                        refused++;
                        continue;
                }
                for (size_t i = 0; i < TREE; i++)
                        if (tree[i].type != FILE_SYMLINK)
                                compare(&plan, &e.view, &ordinary_tree, tree[i].path, round);
                for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
                        cleanup_free char *below = memory_format("%s/none", places[i]),
                                          *x = memory_format("%s/x", places[i]);
                        compare(&plan, &e.view, &ordinary_tree, places[i], round);
                        compare(&plan, &e.view, &ordinary_tree, below, round);
                        compare(&plan, &e.view, &ordinary_tree, x, round);
                }
                /* The state is never what shows through, under any name. */
                for (size_t i = 0; i < plan.count; i++)
                        for (size_t s = 0; s < plan.ops[i].source_count; s++)
                                assert_false(path_is_below(plan.ops[i].sources[s], "/home/u/.state/paddock"));
        }
        assert_true(refused < 2600);
}

/* ---- single cases ---- */

static const struct plan_op *op_at(const struct plan *plan, const char *path)
{
        for (size_t i = 0; i < plan->count; i++)
                if (strcmp(plan->ops[i].path, path) == 0)
                        return &plan->ops[i];
        return NULL;
}

static void resolve_one(struct plan *plan, enum rule_kind kind, const char *path, const char *source, int result)
{
        cleanup_environment struct environment e = {0};
        cleanup_error struct error err = ERROR_INIT;
        assert_int_equal(view_add(&e.view, kind, path, &source, source ? 1 : 0, &err), 0);
        struct system system = ordinary(true);
        assert_int_equal(plan_resolve(plan, &e, &system, NULL, &err), result);
}

static void default_layers_stand_where_the_user_writes(void **state)
{
        (void)state;
        cleanup_environment struct environment e = {0};
        cleanup_error struct error err = ERROR_INIT;
        cleanup_plan struct plan plan = {0};
        struct system system = ordinary(false);
        assert_int_equal(plan_resolve(&plan, &e, &system, NULL, &err), 0);
        assert_int_equal(op_at(&plan, "/")->kind, PLAN_ROOT);
        assert_int_equal(op_at(&plan, "/home/u")->kind, PLAN_LAYER);
        assert_int_equal(op_at(&plan, "/srv/a")->kind, PLAN_LAYER);
        assert_int_equal(op_at(&plan, "/tmp")->kind, PLAN_LAYER);
        assert_int_equal(op_at(&plan, "/home/u/.state/paddock")->kind, PLAN_INNER);
        assert_null(op_at(&plan, "/etc"));
        assert_string_equal(plan.cwd, "/home/u/d");
        for (size_t i = 1; i < plan.count; i++) /* parents first */
                assert_true(plan.ops[i].kind == PLAN_EXPOSE ||
                            path_compare(plan.ops[i - 1].path, plan.ops[i].path) < 0);
}

static void links_are_followed_and_loops_told(void **state)
{
        (void)state;
        cleanup_plan struct plan plan = {0};
        resolve_one(&plan, RULE_SHARE, "/link/e", NULL, 0);
        assert_int_equal(op_at(&plan, "/home/u/d/e")->kind, PLAN_BIND);
        assert_true(op_at(&plan, "/home/u/d/e")->writable);
        plan_clear(&plan);
        resolve_one(&plan, RULE_SHARE, "/home/u/up/a/../a", NULL, 0);
        assert_non_null(op_at(&plan, "/srv/a"));
        plan_clear(&plan);
        resolve_one(&plan, RULE_SHARE, "/home/u/loop/x", NULL, -ELOOP);
}

static void a_shared_tree_gets_no_names(void **state)
{
        (void)state;
        cleanup_environment struct environment e = {0};
        cleanup_error struct error err = ERROR_INIT;
        cleanup_plan struct plan plan = {0};
        const char *source = "/etc";
        view_add(&e.view, RULE_SHARE, "/home/u/d", NULL, 0, &err);
        view_add(&e.view, RULE_FROM, "/home/u/d/new", &source, 1, &err);
        struct system system = ordinary(true);
        assert_int_equal(plan_resolve(&plan, &e, &system, NULL, &err), -ENOENT);
        assert_non_null(strstr(err.text, "shared for writing"));
}

static void mounts_below_split_a_private_directory(void **state)
{
        (void)state;
        cleanup_environment struct environment e = {0};
        cleanup_error struct error err = ERROR_INIT;
        cleanup_plan struct plan plan = {0};
        struct system system = ordinary(true);
        assert_int_equal(plan_resolve(&plan, &e, &system, NULL, &err), 0);
        assert_int_equal(op_at(&plan, "/home/u")->kind, PLAN_BLANK);
        assert_int_equal(op_at(&plan, "/home/u/d")->kind, PLAN_LAYER);
        assert_int_equal(op_at(&plan, "/home/u/m")->kind, PLAN_LAYER);
}

static void the_state_cannot_be_asked_for(void **state)
{
        (void)state;
        cleanup_plan struct plan plan = {0};
        resolve_one(&plan, RULE_SHARE, "/home/u/.state/paddock", NULL, -EPERM);
        resolve_one(&plan, RULE_FROM, "/etc/sub", "/home/u/.state/paddock/secret", -EPERM);
        resolve_one(&plan, RULE_FROM, "/etc/sub", "/home/u", 0);
        assert_int_equal(op_at(&plan, "/etc/sub/.state/paddock")->kind, PLAN_INNER);
        plan_clear(&plan);
        resolve_one(&plan, RULE_SHARE, "/home/u/.state", NULL, 0);
        assert_int_equal(op_at(&plan, "/home/u/.state/paddock")->kind, PLAN_INNER);
}

/* Root by an ordinary user: one layer over the mirror, mounts and all; what rules take away the mirror does not have,
 * unless another rule shows it; what is shared is the main system itself. */
static void root_has_one_layer_over_the_mirror(void **state)
{
        (void)state;
        cleanup_environment struct environment e = {.identity = IDENTITY_ROOT};
        cleanup_error struct error err = ERROR_INIT;
        cleanup_plan struct plan plan = {0};
        const char *source = "/srv";
        struct system system = ordinary(true);
        view_add(&e.view, RULE_HIDE, "/etc/sub", NULL, 0, &err);
        view_add(&e.view, RULE_HIDE, "/srv/a", NULL, 0, &err);
        view_add(&e.view, RULE_FROM, "/new", &source, 1, &err);
        view_add(&e.view, RULE_SHARE, "/home/u/d", NULL, 0, &err);
        view_add(&e.view, RULE_EMPTY, "/usr", NULL, 0, &err);
        assert_int_equal(plan_resolve(&plan, &e, &system, NULL, &err), 0);
        const struct plan_op *mirror = plan_mirror(&plan);
        assert_non_null(mirror);
        assert_true(plan.root && plan.new_root);
        assert_int_equal(plan.ops[1].kind, PLAN_LAYER);
        assert_string_equal(plan.ops[1].path, "/");
        assert_true(plan.ops[1].mirrored && plan.ops[1].slot >= 0);
        assert_null(op_at(&plan, "/home/u/m"));
        assert_false(op_at(&plan, "/home/u/d")->mirrored);
        assert_true(op_at(&plan, "/new")->mirrored);
        size_t sub = 0, a = 0, usr = 0, paddock = 0;
        for (size_t i = 0; i < mirror->name_count; i++) {
                bool hidden = mirror->names[i].kind == NAME_WHITEOUT;
                sub += strcmp(mirror->names[i].path, "/etc/sub") == 0 && hidden;
                a += strcmp(mirror->names[i].path, "/srv/a") == 0;
                usr += strcmp(mirror->names[i].path, "/usr") == 0 && !hidden;
                paddock += strcmp(mirror->names[i].path, "/home/u/.state/paddock") == 0 && !hidden;
        }
        assert_int_equal(sub, 1);
        assert_int_equal(a, 0); /* /new/a shows it */
        assert_int_equal(usr, 1);
        assert_int_equal(paddock, 1);
}

static void a_mirror_is_made_only_where_one_is_used(void **state)
{
        (void)state;
        cleanup_environment struct environment e = {.identity = IDENTITY_ROOT, .root = ROOT_EMPTY};
        cleanup_error struct error err = ERROR_INIT;
        cleanup_plan struct plan plan = {0};
        struct system system = ordinary(true);
        assert_int_equal(plan_resolve(&plan, &e, &system, NULL, &err), 0);
        assert_null(plan_mirror(&plan));
        plan_clear(&plan);
        e.root = ROOT_HOST;
        system.superuser = true; /* who maps the ids of the file systems themselves */
        assert_int_equal(plan_resolve(&plan, &e, &system, NULL, &err), 0);
        assert_null(plan_mirror(&plan));
        assert_true(plan.root);
}

static void explanations_name_every_operation(void **state)
{
        (void)state;
        cleanup_plan struct plan plan = {0};
        cleanup_environment struct environment e = {0};
        resolve_one(&plan, RULE_HIDE, "/home/u/d/g", NULL, 0); /* hidden in the layer of /home/u/d */
        cleanup_free char *text = plan_explain(&plan, &e);
        for (size_t i = 0; i < plan.count; i++)
                assert_non_null(strstr(text, plan.ops[i].path));
        assert_non_null(strstr(text, " -g")); /* what is hidden */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plans_show_what_rules_say),
                cmocka_unit_test(default_layers_stand_where_the_user_writes),
                cmocka_unit_test(links_are_followed_and_loops_told),
                cmocka_unit_test(a_shared_tree_gets_no_names),
                cmocka_unit_test(mounts_below_split_a_private_directory),
                cmocka_unit_test(the_state_cannot_be_asked_for),
                cmocka_unit_test(root_has_one_layer_over_the_mirror),
                cmocka_unit_test(a_mirror_is_made_only_where_one_is_used),
                cmocka_unit_test(explanations_name_every_operation),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

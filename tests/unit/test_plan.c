// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The resolver on main systems that exist only in memory.
 *
 * The property: for random rules over a random tree with random mounts, what the plan's operations show at each name is what
 * the rules say, worked out by a slow and obvious oracle that knows nothing of mounts, layers and mount points.
 */
#include "base/cleanup.h"
#include "base/path.h"
#include "plan/plan.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fake_file {
        const char *path;
        enum file_type type;
        bool mine;
        const char *target;
};

struct fake {
        const struct fake_file *files;
        size_t count;
        bool everything_writable;
};

static const struct fake_file *fake_find(const struct fake *fake, const char *path)
{
        for (size_t i = 0; i < fake->count; i++)
                if (strcmp(fake->files[i].path, path) == 0)
                        return &fake->files[i];
        return NULL;
}

static int fake_look(void *context, const char *path, struct file *file)
{
        const struct fake *fake = context;
        const struct fake_file *found = fake_find(fake, path);
        *file = (struct file){.type = FILE_NONE};
        if (!found)
                return 0;
        *file = (struct file){.type = found->type, .mode = 0755, .mine = found->mine};
        return 0;
}

static bool fake_writable(void *context, const char *path)
{
        const struct fake *fake = context;
        const struct fake_file *found = fake_find(fake, path);
        return found && (found->mine || fake->everything_writable);
}

static char *fake_link(void *context, const char *path)
{
        const struct fake_file *found = fake_find(context, path);
        return found && found->target ? memory_string(found->target) : NULL;
}

static int fake_entries(void *context, const char *path, int limit, char ***names)
{
        const struct fake *fake = context;
        int count = 0, capacity = 0;
        *names = NULL;
        for (size_t i = 0; i < fake->count && count < limit; i++) {
                cleanup_free char *parent = path_parent(fake->files[i].path);
                if (fake->files[i].path[1] && strcmp(parent, path) == 0)
                        *vector_add(*names, count, capacity) = memory_string(path_name(fake->files[i].path));
        }
        return count;
}

#define D(p, own) {p, FILE_DIRECTORY, own, NULL}
#define F(p, own) {p, FILE_REGULAR, own, NULL}
#define L(p, to) {p, FILE_SYMLINK, false, to}
static const struct fake_file tree[] = {
        D("/", false), D("/proc", false), D("/dev", false), D("/run", false), D("/sys", false), D("/tmp", true),
        D("/etc", false), F("/etc/hosts", false), D("/etc/sub", false), F("/etc/sub/conf", false),
        D("/usr", false), D("/usr/bin", false), F("/usr/bin/true", false),
        D("/home", false), D("/home/u", true), F("/home/u/f", true), D("/home/u/d", true), F("/home/u/d/g", true),
        D("/home/u/d/e", true), F("/home/u/d/e/h", true), D("/home/u/m", true), F("/home/u/m/x", true),
        D("/home/u/.state", true), D("/home/u/.state/paddock", true), F("/home/u/.state/paddock/secret", true),
        D("/srv", false), D("/srv/a", true), F("/srv/a/x", true), D("/srv/b", false), F("/srv/b/y", false),
        L("/link", "/home/u/d"), L("/home/u/loop", "loop"), L("/home/u/up", "../../srv"),
};
#define TREE (sizeof tree / sizeof *tree)

static struct mount mounts[] = {
        {(char *)"/", (char *)"ext4", (char *)"8:1", (char *)"/", false, false},
        {(char *)"/proc", (char *)"proc", (char *)"0:1", (char *)"/", true, false},
        {(char *)"/home/u/m", (char *)"ext4", (char *)"8:2", (char *)"/", false, false},
        {(char *)"/srv/b", (char *)"ext4", (char *)"8:3", (char *)"/", false, false},
};

static struct fake ordinary_tree = {tree, TREE, false};

static struct system ordinary(bool many_mounts)
{
        return (struct system){.look = {.context = &ordinary_tree, .file = fake_look, .link = fake_link, .entries = fake_entries,
                                        .writable = fake_writable},
                               .mounts = mounts, .mount_count = many_mounts ? 4 : 2, .uid = 1000, .gid = 1000,
                               .cwd = (char *)"/home/u/d", .home = (char *)"/home/u",
                               .state = (char *)"/home/u/.state/paddock", .store = (char *)"/home/u/.state/paddock"};
}

/* ---- what a plan shows ---- */

enum shown { SHOWN_OUTSIDE, SHOWN_OWN, SHOWN_NOTHING, SHOWN_CLOSED };

static const struct plan_name *name_at(const struct plan_op *op, const char *rest, bool *inside)
{
        for (size_t i = 0; i < op->name_count; i++) {
                const char *p = op->names[i].path;
                size_t n = strlen(p);
                if (strncmp(rest, p, n) == 0 && (!rest[n] || rest[n] == '/')) {
                        if (op->names[i].kind == NAME_WHITEOUT || !rest[n]) {
                                *inside = rest[n] != '\0';
                                return &op->names[i];
                        }
                }
        }
        return NULL;
}

/* Is `path` of the main system there in what a mirrored operation takes its sources from? */
static bool in_mirror(const struct plan *plan, const struct plan_op *op, const char *path)
{
        const struct plan_op *mirror = plan_mirror(plan);
        for (size_t i = 0; op->mirrored && i < mirror->name_count; i++)
                if (path_is_below(path, mirror->names[i].path) &&
                    (mirror->names[i].kind == NAME_WHITEOUT || strcmp(path, mirror->names[i].path) != 0))
                        return false;
        return true;
}

/* What the operations, carried out in order, show at `path`. `outside` gets the name that shows through. */
static enum shown plan_shows(const struct plan *plan, const struct fake *fake, const char *path, char **outside)
{
        const struct plan_op *op = NULL;
        *outside = NULL;
        for (size_t i = 0; i < plan->count; i++)
                if (plan->ops[i].kind != PLAN_EXPOSE && path_is_below(path, plan->ops[i].path) &&
                    (!op || strlen(plan->ops[i].path) >= strlen(op->path)))
                        op = &plan->ops[i];
        const char *rest = path + (op->path[1] ? strlen(op->path) : 0);
        const char *relative = *rest == '/' ? rest + 1 : rest;
        bool inside = false;
        const struct plan_name *name = *relative ? name_at(op, relative, &inside) : NULL;
        switch (op->kind) {
        case PLAN_ROOT:
        case PLAN_SHARED_ROOT:
                *outside = memory_string(path);
                break;
        case PLAN_SEAL:
                return SHOWN_CLOSED;
        case PLAN_SKELETON:
                return !*relative || (name && !inside) ? SHOWN_OWN : SHOWN_NOTHING;
        case PLAN_BLANK:
                if (op->source_count) { /* files directly in it are copied; directories have operations of their own */
                        cleanup_free char *from = memory_format("%s%s", op->sources[0], rest);
                        const struct fake_file *file = fake_find(fake, from);
                        if (file && in_mirror(plan, op, from) && (file->type != FILE_DIRECTORY || !*relative) && !strchr(relative, '/')) {
                                *outside = steal_pointer(&from);
                                return SHOWN_OUTSIDE;
                        }
                }
                return !*relative || (name && !inside) ? SHOWN_OWN : SHOWN_NOTHING;
        case PLAN_BIND:
                *outside = memory_format("%s%s", op->sources[0], rest);
                break;
        case PLAN_LAYER:
                if (name && name->kind == NAME_WHITEOUT)
                        return SHOWN_NOTHING;
                for (size_t s = 0; s < op->source_count; s++) {
                        free(*outside);
                        *outside = memory_format("%s%s", op->sources[s][1] ? op->sources[s] : "", *rest ? rest : "");
                        if (!**outside) {
                                free(*outside);
                                *outside = memory_string("/");
                        }
                        if (fake_find(fake, *outside) && in_mirror(plan, op, *outside))
                                return SHOWN_OUTSIDE;
                }
                return name ? SHOWN_OWN : SHOWN_NOTHING;
        case PLAN_MIRROR:
        case PLAN_PROC:
        case PLAN_DEVICES:
        case PLAN_INNER:
        case PLAN_EXPOSE:
                return SHOWN_OWN;
        }
        return fake_find(fake, *outside) && in_mirror(plan, op, *outside) ? SHOWN_OUTSIDE : SHOWN_NOTHING;
}

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
        *outside = best && best->kind == RULE_FROM ? memory_format("%s%s", best->sources[0], rest) : memory_string(path);
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

static void compare(const struct plan *plan, const struct view *view, const struct fake *fake, const char *path, uint64_t seed)
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
                fail_msg("seed %lu: %s shows %d %s, wanted %d %s", (unsigned long)seed, path, shown, got ? got : "-", want,
                         wanted ? wanted : "-");
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
                        static const enum rule_kind kinds[] = {RULE_PRIVATE, RULE_MIRROR, RULE_SHARE, RULE_EMPTY, RULE_HIDE,
                                                               RULE_FROM};
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
                        cleanup_free char *below = memory_format("%s/none", places[i]), *x = memory_format("%s/x", places[i]);
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
                assert_true(plan.ops[i].kind == PLAN_EXPOSE || path_compare(plan.ops[i - 1].path, plan.ops[i].path) < 0);
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

/* Root by an ordinary user: one layer over the mirror, mounts and all; what rules take away the mirror does not have, unless
 * another rule shows it; what is shared is the main system itself. */
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

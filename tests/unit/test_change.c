// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From one view to another.
 *
 * The property: the operations of the old plan, with the subtrees replaced as plan_compare() says, show at each name
 * what the operations of the new plan show.
 */
#include "base/cleanup.h"
#include "base/path.h"
#include "fake_system.h"
#include "plan/change.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* A plan's operations, borrowed, in any order: plan_shows() takes the longest path, and of equal ones the last. */
struct world {
        struct plan plan;
        size_t capacity;
};

static void world_add(struct world *w, const struct plan_op *op)
{
        *vector_add(w->plan.ops, w->plan.count, w->capacity) = *op;
}

/* Replaces a subtree: what is kept is taken from the world with all that is below it. */
static void world_apply(struct world *w, const struct plan_change *c)
{
        struct world next = {0};
        for (size_t i = 0; i < w->plan.count; i++)
                if (!path_is_below(w->plan.ops[i].path, c->path))
                        world_add(&next, &w->plan.ops[i]);
        for (size_t s = 0; s < c->count; s++) {
                if (!c->steps[s].keep)
                        world_add(&next, c->steps[s].op);
                for (size_t i = 0; c->steps[s].keep && i < w->plan.count; i++)
                        if (path_is_below(w->plan.ops[i].path, c->steps[s].op->path))
                                world_add(&next, &w->plan.ops[i]);
        }
        free(w->plan.ops);
        *w = next;
}

static const char *const places[] = {"/etc",          "/etc/hosts",    "/etc/sub",  "/etc/new",    "/etc/new/deep",
                                     "/usr",          "/usr/bin/true", "/home/u/f", "/home/u/d",   "/home/u/d/e",
                                     "/home/u/d/e/h", "/home/u/d/new", "/home/u/m", "/home/u/m/x", "/srv",
                                     "/srv/a",        "/srv/b",        "/srv/b/y",  "/new",        "/tmp"};
#define PLACES (sizeof places / sizeof *places)

static void random_rules(uint64_t *seed, struct view *view, unsigned count)
{
        static const enum rule_kind kinds[] = {RULE_PRIVATE, RULE_MIRROR, RULE_SHARE, RULE_EMPTY, RULE_HIDE, RULE_FROM};
        static const char *const sources[] = {"/etc", "/usr/bin", "/srv/a", "/home/u/d", "/srv/b"};
        for (unsigned i = 0; i < count; i++) {
                enum rule_kind kind = kinds[random_below(seed, 6)];
                const char *source = sources[random_below(seed, 5)];
                cleanup_error struct error twice = ERROR_INIT;
                view_add(view, kind, places[random_below(seed, PLACES)], &source, kind == RULE_FROM, &twice);
        }
}

static bool hidden_in(const struct plan *plan, const char *path)
{
        for (size_t i = 0; i < plan->count; i++)
                for (size_t n = 0; n < plan->ops[i].name_count; n++) {
                        const struct plan_name *name = &plan->ops[i].names[n];
                        cleanup_free char *whole = name->path[0] == '/' ? memory_string(name->path)
                                                                        : path_join(plan->ops[i].path, name->path);
                        /* The mirror's directories are shown empty. */
                        if ((name->kind == NAME_WHITEOUT || plan->ops[i].kind == PLAN_MIRROR) &&
                            path_is_below(path, whole))
                                return true;
                }
        return false;
}

static const struct view *views[2]; /* for what a failure prints */

static void same_at(const struct world *w, const struct plan *old, const struct plan *new, const char *path,
                    uint64_t seed)
{
        cleanup_free char *got = NULL, *wanted = NULL;
        enum shown shown = plan_shows(&w->plan, &ordinary_tree, path, &got),
                   want = plan_shows(new, &ordinary_tree, path, &wanted);
        if (want == SHOWN_NOTHING && (shown == SHOWN_CLOSED || shown == SHOWN_OWN))
                return; /* hidden names are covered; names that were made stay */
        if (shown == SHOWN_NOTHING && (want == SHOWN_OWN || want == SHOWN_CLOSED))
                return; /* names that lead somewhere are made by the host */
        if (hidden_in(old, path) && !hidden_in(new, path))
                return; /* taken away by the host, or refused by it: nothing of it stands in a plan */
        if (shown != want || (want == SHOWN_OUTSIDE && strcmp(got, wanted) != 0)) {
                for (size_t v = 0; v < 2; v++)
                        for (size_t i = 0; i < views[v]->count; i++)
                                print_error("%s: %s %s %s\n", v ? "new" : "old", rule_word(views[v]->rules[i].kind),
                                            views[v]->rules[i].path,
                                            views[v]->rules[i].source_count ? views[v]->rules[i].sources[0] : "");
                fail_msg("seed %lu: %s shows %d %s, wanted %d %s", (unsigned long)seed, path, shown, got ? got : "-",
                         want, wanted ? wanted : "-");
        }
}

static void changes_lead_to_the_new_view(void **state)
{
        (void)state;
        unsigned done = 0, refused = 0, steps = 0;
        for (uint64_t round = 1; round <= 6000; round++) {
                uint64_t seed = round * 2654435761u;
                cleanup_environment struct environment before = {0}, after = {0};
                random_rules(&seed, &before.view, random_below(&seed, 5));
                view_copy(&after.view, &before.view);
                random_rules(&seed, &after.view, 1);
                struct environment *from = random_below(&seed, 2) ? &before : &after,
                                   *to = from == &before ? &after : &before;
                views[0] = &from->view;
                views[1] = &to->view;
                struct system system = ordinary(random_below(&seed, 2));
                before.identity = after.identity = random_below(&seed, 3) == 0 ? IDENTITY_ROOT : IDENTITY_SELF;
                cleanup_plan struct plan old = {0}, new = {0};
                cleanup_error struct error err = ERROR_INIT;
                if (plan_resolve(&old, from, &system, NULL, &err) < 0)
                        continue;
                struct slots slots = {0}; /* as they are on disk */
                for (size_t i = 0; i < old.slots.count; i++)
                        slots_find(&slots, old.slots.slots[i].path, old.slots.slots[i].blank);
                if (plan_resolve(&new, to, &system, &slots, &err) < 0) {
                        slots_clear(&slots);
                        continue;
                }
                cleanup_changes struct plan_changes changes;
                int result = plan_compare(&old, &new, &system, &changes, &err);
                if (result < 0) {
                        assert_int_equal(result, -EBUSY);
                        assert_non_null(err.remedy);
                        refused++;
                        continue;
                }
                struct world world = {0};
                for (size_t i = 0; i < old.count; i++)
                        world_add(&world, &old.ops[i]);
                struct plan made[16];
                struct plan_change decoded[16];
                assert_true(changes.count <= 16);
                for (size_t i = 0; i < changes.count; i++) {
                        /* What arrives at the other end is what is carried out. */
                        cleanup_free char *text = plan_change_encode(&changes.changes[i], &new.slots);
                        if (plan_change_decode(text, &decoded[i], &made[i], &err) < 0)
                                fail_msg("seed %lu: not taken back: %s", (unsigned long)round, text);
                        assert_int_equal(decoded[i].count, changes.changes[i].count);
                        assert_true(decoded[i].before != decoded[i].after);
                        world_apply(&world, &decoded[i]);
                        steps += decoded[i].count;
                }
                for (size_t i = 0; i < TREE; i++)
                        if (tree[i].type != FILE_SYMLINK)
                                same_at(&world, &old, &new, tree[i].path, round);
                for (size_t i = 0; i < PLACES; i++) {
                        cleanup_free char *x = memory_format("%s/x", places[i]);
                        same_at(&world, &old, &new, places[i], round);
                        same_at(&world, &old, &new, x, round);
                }
                for (size_t i = 0; i < changes.count; i++) {
                        plan_change_clear(&decoded[i]);
                        plan_clear(&made[i]);
                }
                free(world.plan.ops);
                done += changes.count > 0;
        }
        print_message("%u changes, %u steps, %u refused\n", done, steps, refused);
        assert_true(done > 1500 && refused < done);
}

static void a_rule_added_and_taken_away_is_undone(void **state)
{
        (void)state;
        cleanup_environment struct environment before = {0}, after = {0};
        cleanup_error struct error err = ERROR_INIT;
        view_add(&after.view, RULE_SHARE, "/home/u/d", NULL, 0, &err);
        struct system system = ordinary(false);
        cleanup_plan struct plan old = {0}, new = {0};
        assert_int_equal(plan_resolve(&old, &before, &system, NULL, &err), 0);
        assert_int_equal(plan_resolve(&new, &after, &system, NULL, &err), 0);
        cleanup_changes struct plan_changes there, back;
        assert_int_equal(plan_compare(&old, &new, &system, &there, &err), 0);
        assert_int_equal(plan_compare(&new, &old, &system, &back, &err), 0);
        assert_int_equal(there.count, 1);
        assert_int_equal(back.count, 1);
        assert_string_equal(there.changes[0].path, "/home/u/d");
        assert_false(there.changes[0].bare);
        assert_true(back.changes[0].bare);
        assert_true(there.changes[0].before == back.changes[0].after);
        assert_true(there.changes[0].after == back.changes[0].before);
        plan_changes_clear(&back);
        assert_int_equal(plan_compare(&new, &new, &system, &back, &err), 0);
        assert_int_equal(back.count, 0);
}

static void what_is_out_of_form_is_refused(void **state)
{
        (void)state;
        static const char *const bad[] = {"",
                                          "change\t/x\t0\t1",
                                          "change\t/\t0\t1\t2",
                                          "change\tx\t0\t1\t2",
                                          "keep\t/x",
                                          "change\t/x\t2\t1\t2",
                                          "change\t/x\t0\t1\t2\nop\t0\t/x\t-1\t493\t0\t0",
                                          "change\t/x\t0\t1\t2\nop\t2\t/x\t-1\t493\t0\t0",
                                          "change\t/x\t0\t1\t2\nop\t4\t/x\t-1\t493\t0\t0",
                                          "change\t/x\t0\t1\t2\nop\t6\t/x\t-1\t493\t16\t0",
                                          "change\t/x\t0\t1\t2\nkeep\t/x/y\nname\t0\ta\t493\t",
                                          "change\t/x\t0\t1\t2\nop\t3\t/x\t-1\t493\t0\t2\t/a",
                                          "change\t/x\t0\t1\t2\nop\t5\t/x\t-1\t493\t0\t0\nname\t0\t../a\t493\t",
                                          "change\t/x\t0\t1\t2\nmake\t0\ta\t493",
                                          "change\t/x\t0\t1\t2\nchange\t/y\t0\t1\t2",
                                          "change\t/x\t0\t1\t2\nslot\t-1\t0\t/x"};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                cleanup_error struct error err = ERROR_INIT;
                struct plan_change change;
                struct plan made;
                if (plan_change_decode(bad[i], &change, &made, &err) != -EINVAL)
                        fail_msg("taken: %s", bad[i]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(changes_lead_to_the_new_view),
                cmocka_unit_test(a_rule_added_and_taken_away_is_undone),
                cmocka_unit_test(what_is_out_of_form_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

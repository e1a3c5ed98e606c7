// SPDX-License-Identifier: GPL-3.0-or-later
/* The parts of files-mirror that need no mount: the tree of names, the rules, the stand-ins. */
#include "node.h"
#include "rules.h"
#include "standin.h"

#include "base/cleanup.h"
#include "base/tree.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static size_t released_count;

static void count_released(void *context, struct node *node)
{
        (void)context;
        assert_non_null(node->name);
        released_count++;
}

static void test_nodes_live_as_long_as_they_are_known(void **state)
{
        (void)state;
        struct node_tree tree;
        assert_int_equal(node_tree_start(&tree, NULL), 0);
        tree.released = count_released;
        released_count = 0;
        struct node *root = node_find(&tree, NODE_ROOT), *a = node_make(&tree, root, "a"),
                    *b = node_make(&tree, a, "b");
        a->lookups = 2;
        b->lookups = 1;
        uint64_t a_id = node_id(a), b_id = node_id(b);
        assert_ptr_equal(node_make(&tree, root, "a"), a);
        assert_ptr_equal(node_child(&tree, a, "b"), b);
        assert_null(node_child(&tree, root, "b"));
        cleanup_free char *path = node_path(&tree, b), *top = node_path(&tree, root);
        assert_string_equal(path, "/a/b");
        assert_string_equal(top, "/");

        node_forget(&tree, a, 5); /* more than there are: what lies in it still holds it */
        assert_ptr_equal(node_find(&tree, a_id), a);
        assert_int_equal(released_count, 0);
        node_forget(&tree, b, 1);
        assert_null(node_find(&tree, b_id));
        assert_null(node_find(&tree, a_id));
        assert_int_equal(released_count, 2);

        /* The slots are used again; the old ids lead nowhere. */
        struct node *c = node_make(&tree, root, "c"), *d = node_make(&tree, c, "d");
        c->lookups = d->lookups = 1;
        assert_null(node_find(&tree, a_id));
        assert_null(node_find(&tree, b_id));
        node_forget(&tree, root, 1000); /* the root stays */
        assert_ptr_equal(node_find(&tree, NODE_ROOT), root);
        assert_null(node_find(&tree, 0));
        assert_null(node_find(&tree, ~0ULL));
        assert_null(node_find(&tree, NODE_ROOT | 1ULL << 32));

        assert_false(node_is_moved(&tree, d));
        c->moved = true;
        assert_true(node_is_moved(&tree, d));
        assert_false(node_is_moved(&tree, root));
        node_tree_end(&tree);
}

/* Against a plain list: 20,000 random steps. */
static void test_nodes_against_a_list(void **state)
{
        (void)state;
        enum { NAMES = 3000 };
        struct node_tree tree;
        static uint64_t known[NAMES];
        uint64_t seed = 1;
        size_t count = 0;
        char name[16];
        assert_int_equal(node_tree_start(&tree, NULL), 0);
        for (int step = 0; step < 20000; step++) {
                seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
                unsigned i = (unsigned)(seed >> 33) % NAMES;
                snprintf(name, sizeof name, "%u", i);
                struct node *root = node_find(&tree, NODE_ROOT), *node = node_child(&tree, root, name);
                assert_true(!node == !known[i]);
                if (node) {
                        assert_int_equal(node_id(node), known[i]);
                        node_forget(&tree, node, 1);
                        assert_null(node_find(&tree, known[i]));
                        known[i] = 0;
                        count--;
                } else {
                        node = node_make(&tree, root, name);
                        node->lookups = 1;
                        known[i] = node_id(node);
                        count++;
                }
                assert_int_equal(tree.count, count + 1);
        }
        uint32_t cursor = 0;
        size_t seen = 0;
        while (node_next(&tree, &cursor))
                seen++;
        assert_int_equal(seen, count + 1);
        node_tree_end(&tree);
}

static void test_a_path_of_any_length(void **state)
{
        (void)state;
        struct node_tree tree;
        assert_int_equal(node_tree_start(&tree, NULL), 0);
        struct node *node = node_find(&tree, NODE_ROOT);
        for (int i = 0; i < 5000; i++) {
                node = node_make(&tree, node, "level");
                node->lookups = i == 4999; /* those above live by what lies in them */
        }
        cleanup_free char *path = node_path(&tree, node);
        assert_int_equal(strlen(path), 5000 * 6);
        assert_int_equal(strncmp(path, "/level/level/", 13), 0);
        node_forget(&tree, node, 1);
        assert_int_equal(tree.count, 1);
        node_tree_end(&tree);
}

static void make_file(int at, const char *name, const char *text)
{
        cleanup_close int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int make_place(void **state)
{
        char place[] = "/tmp/test-mirror.XXXXXX";
        *state = mkdtemp(place) ? memory_string(place) : NULL;
        return *state ? 0 : -1;
}

static int remove_place(void **state)
{
        cleanup_free char *place = *state;
        cleanup_error struct error err = ERROR_INIT;
        return tree_remove(AT_FDCWD, place, &err);
}

static void test_rules(void **state)
{
        cleanup_close int root = open(*state, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct rules rules = {0};
        assert_int_equal(mkdirat(root, "a", 0755), 0);
        make_file(root, "a/b", "");
        make_file(root, "a/open", "");
        assert_int_equal(symlinkat("/a", root, "way"), 0); /* as in the root that is shown, not as here */
        make_file(root, "a/by-way", "");
        assert_int_equal(linkat(root, "a/b", root, "other", 0), 0);
        assert_int_equal(rules_add(&rules, RULE_HIDDEN, "/a/b"), 0);
        assert_int_equal(rules_add(&rules, RULE_HIDDEN, "/way//by-way/"), 0);
        assert_int_equal(rules_add(&rules, RULE_HIDDEN, "/not/there"), 0);
        assert_int_equal(rules_add(&rules, RULE_BLANK, "/a/b"), 0); /* hidden wins */
        assert_int_equal(rules_add(&rules, RULE_BLANK, "/c"), 0);
        assert_int_equal(rules_add(&rules, RULE_HIDDEN, "a"), -EINVAL);
        assert_int_equal(rules_add(&rules, RULE_HIDDEN, "/"), -EINVAL);
        assert_int_equal(rules_add(&rules, RULE_HIDDEN, "/a/../b"), -EINVAL);
        assert_int_equal(rules_add(&rules, RULE_HIDDEN, "/./b"), -EINVAL);
        assert_int_equal(rules_identify(&rules, root), 0);

        const struct rule_point *a = rules_below(&rules.root, "a");
        assert_non_null(a);
        assert_int_equal(a->kind, RULE_NONE);
        assert_int_equal(rules_below(a, "b")->kind, RULE_HIDDEN);
        assert_null(rules_below(a, "c"));
        assert_null(rules_below(NULL, "a"));
        assert_int_equal(rules_below(&rules.root, "c")->kind, RULE_BLANK);

        struct stat st;
        const char *hidden[] = {"a/b", "other", "a/by-way"};
        for (size_t i = 0; i < 3; i++) {
                assert_int_equal(fstatat(root, hidden[i], &st, 0), 0);
                assert_true(rules_hides(&rules, &st, root, hidden[i]));
        }
        assert_int_equal(fstatat(root, "a/open", &st, 0), 0);
        assert_false(rules_hides(&rules, &st, root, "a/open"));
        assert_int_equal(fstatat(root, "a/b", &st, 0), 0);
        assert_true(rules_hides(&rules, &st, root, "a/open")); /* swapped meanwhile: in doubt it is */
        rules_clear(&rules);
        assert_false(rules_hides(&rules, &st, root, "a/b"));
        assert_true(rules_blank_type(0x9fa0)); /* proc */
        assert_false(rules_blank_type(0xef53)); /* ext4 */
        assert_true(rules_remote_type(0x6969)); /* NFS */
        assert_true(rules_remote_type((long)0xff534d42)); /* CIFS: the upper bit is set */
        assert_true(rules_remote_type((int)0xff534d42));
        assert_false(rules_remote_type(0x01021994)); /* tmpfs */
}

static void test_standins(void **state)
{
        cleanup_close int root = open(*state, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct mirror m = {.root = root};
        struct seen seen = {.st = {.st_mode = S_IFREG}};
        assert_int_equal(mkdirat(root, "etc", 0755), 0);
        assert_int_equal(mkdirat(root, "var", 0755), 0);
        cleanup_close int etc = openat(root, "etc", O_PATH | O_CLOEXEC), var = openat(root, "var", O_PATH | O_CLOEXEC);
        assert_null(standin_text(etc, "shadow")); /* made from nothing */
        make_file(etc, "passwd", "root:x:0:0::/:\nno colon\n::\n\nmira:x:1:1::/:");
        make_file(var, "passwd", "root:x:0:0::/:\n");
        cleanup_free char *text = standin_text(etc, "shadow");
        assert_string_equal(text, "root:*:19000:0:99999:7:::\nmira:*:19000:0:99999:7:::\n");
        assert_int_equal(standin_size(&m, &seen, etc, "shadow"), strlen(text));
        assert_int_equal(standin_size(&m, &seen, var, "shadow"), 0);
        assert_int_equal(standin_size(&m, &seen, etc, "passwd"), 0);
        assert_int_equal(standin_size(&m, &seen, etc, "gshadow"), 0);
        seen.st.st_mode = S_IFDIR;
        assert_int_equal(standin_size(&m, &seen, etc, "shadow"), 0);
        assert_int_equal(unlinkat(etc, "passwd", 0), 0);
        assert_int_equal(mkfifoat(etc, "passwd", 0600), 0); /* nobody waits for a writer */
        assert_null(standin_text(etc, "shadow"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nodes_live_as_long_as_they_are_known),
                cmocka_unit_test(test_nodes_against_a_list),
                cmocka_unit_test(test_a_path_of_any_length),
                cmocka_unit_test_setup_teardown(test_rules, make_place, remove_place),
                cmocka_unit_test_setup_teardown(test_standins, make_place, remove_place),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* Text, paths, errors and the removal of trees. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tree.h"
#include "random.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void paths_are_cleaned(void **state)
{
        (void)state;
        static const char *const cases[][3] =
                {{"/a", "b", "/a/b"},     {"/a", "/b//c/", "/b/c"}, {"/a", "../x", "/x"},
                 {"/", "../../x", "/x"},  {"/a/b", ".", "/a/b"},    {"/a", "./b/./c/..", "/a/b"},
                 {"/", "", "/"},          {"/", "a/../..", "/"},    {"/a", "b c\n", "/a/b c\n"},
                 {"/a", "...", "/a/..."}, {"/x/y", "../..", "/"},   {"/x", "/..a/.b", "/..a/.b"}};
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                cleanup_free char *clean = path_clean(cases[i][0], cases[i][1]);
                assert_string_equal(clean, cases[i][2]);
        }
}

static void parents_names_and_order(void **state)
{
        (void)state;
        cleanup_free char *parent = path_parent("/a/b"), *top = path_parent("/a"), *root = path_parent("/");
        assert_string_equal(parent, "/a");
        assert_string_equal(top, "/");
        assert_string_equal(root, "/");
        assert_string_equal(path_name("/a/b"), "b");
        assert_true(path_is_below("/a/b", "/a") && path_is_below("/a", "/a") && path_is_below("/a", "/"));
        assert_false(path_is_below("/ab", "/a"));
        /* A directory directly before what is below it, whatever sorts between '/' and letters. */
        static const char *const sorted[] = {"/", "/a", "/a/b", "/a/b/c", "/a/b!", "/a!", "/a.b", "/a/../zz"};
        assert_true(path_compare(sorted[0], sorted[1]) < 0);
        assert_true(path_compare("/a/b", "/a!") < 0);
        assert_true(path_compare("/a/b/c", "/a/b!") < 0);
        assert_int_equal(path_compare("/a/b", "/a/b"), 0);
}

static void escapes_come_back(void **state)
{
        (void)state;
        uint64_t seed = 42;
        for (int round = 0; round < 5000; round++) {
                char name[40];
                unsigned n = random_below(&seed, sizeof name - 1);
                for (unsigned i = 0; i < n; i++)
                        name[i] = (char)(1 + random_below(&seed, 255));
                name[n] = '\0';
                cleanup_free char *escaped = text_escape(name);
                for (char *c = escaped; *c; c++)
                        assert_true((unsigned char)*c >= 0x20 && *c != 0x7F);
                cleanup_free char *back = text_unescape(escaped);
                assert_string_equal(back, name);
        }
        assert_null(text_unescape("a\\q"));
        assert_null(text_unescape("\\x0"));
        assert_null(text_unescape("\\x00"));
        cleanup_free char *bidi = text_escape("a\u202Egpj.exe");
        assert_string_equal(bidi, "a\\xe2\\x80\\xaegpj.exe");
        cleanup_free char *plain = text_escape("Grüße 日本");
        assert_string_equal(plain, "Grüße 日本");
}

static void shell_quoting(void **state)
{
        (void)state;
        cleanup_text struct text t = {0};
        text_add_shell(&t, "a b'c");
        text_add(&t, " ");
        text_add_shell(&t, "plain/x");
        text_add_shell(&t, "");
        assert_string_equal(t.data, "'a b'\\''c' plain/x''");
}

static void nearest_words(void **state)
{
        (void)state;
        static const char *const words[] = {"private", "mirror", "share", "empty", NULL};
        assert_string_equal(text_nearest("privat", words), "private");
        assert_string_equal(text_nearest("shair", words), "share");
        assert_null(text_nearest("zzzzzzzz", words));
}

static void errors_gather_context(void **state)
{
        (void)state;
        cleanup_error struct error err = ERROR_INIT;
        assert_int_equal(error_sys(&err, ENOENT, "cannot open %s", "x"), -ENOENT);
        assert_int_equal(error_context(&err, "rule on %d", 7), -ENOENT);
        assert_string_equal(err.text, "rule on 7: cannot open x: No such file or directory");
        assert_int_equal(error_remedy(&err, "make it"), -ENOENT);
        assert_string_equal(err.remedy, "make it");
        error_set(&err, 0, "fresh"); /* a failure without a code is still a failure */
        assert_int_equal(err.code, EIO);
        assert_null(err.remedy);
}

static void trees_of_any_depth_are_removed(void **state)
{
        (void)state;
        cleanup_error struct error err = ERROR_INIT;
        char top[] = "/tmp/paddock-test-XXXXXX";
        assert_non_null(mkdtemp(top));
        cleanup_close int dir = open(top, O_RDONLY | O_DIRECTORY);
        /* 3,000 levels: more than any path names and than descriptors allow. */
        int at = dup(dir);
        for (int i = 0; i < 3000; i++) {
                assert_int_equal(mkdirat(at, "deep", 0700), 0);
                close(openat(at, "file", O_CREAT | O_WRONLY, 0000));
                int next = openat(at, "deep", O_RDONLY | O_DIRECTORY);
                assert_true(next >= 0);
                close(at);
                at = next;
        }
        close(at);
        assert_int_equal(mkdirat(dir, "closed", 0700), 0);
        assert_int_equal(mkdirat(dir, "closed/in", 0700), 0);
        assert_int_equal(fchmodat(dir, "closed", 0, 0), 0);
        assert_int_equal(symlinkat("/etc", dir, "link"), 0);
        assert_int_equal(tree_remove(AT_FDCWD, top, &err), 0);
        assert_int_equal(access(top, F_OK), -1);
        assert_int_equal(access("/etc/passwd", F_OK), 0);
        assert_int_equal(tree_remove(AT_FDCWD, top, &err), 0); /* nothing is as good as removed */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(paths_are_cleaned),      cmocka_unit_test(parents_names_and_order),
                cmocka_unit_test(escapes_come_back),      cmocka_unit_test(shell_quoting),
                cmocka_unit_test(nearest_words),          cmocka_unit_test(errors_gather_context),
                cmocka_unit_test(trees_of_any_depth_are_removed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* Descriptions in files, what their relative names mean, and the examples and keys of the man page. */
#include "description/description.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#ifndef MAN_PAGE
#define MAN_PAGE "man/paddock.yaml.5"
#endif

/* ---- files ---- */

static void write_to(const char *file, const char *text, size_t length)
{
        cleanup_close int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, length), (ssize_t)length);
}

static void test_load(void **state)
{
        (void)state;
        char place[] = "/tmp/paddock-test-XXXXXX";
        assert_non_null(mkdtemp(place));
        cleanup_free char *real = realpath(place, NULL);
        cleanup_free char *old = realpath(".", NULL);
        cleanup_free char *file = path_join(place, "e.yaml"), *big = path_join(place, "big.yaml");
        cleanup_free char *sub = path_join(place, "sub"), *link = path_join(place, "link");
        assert_int_equal(mkdir(sub, 0700), 0);
        assert_int_equal(symlink("sub", link), 0);

        struct environment e;
        cleanup_text struct text problems = {0};
        cleanup_error struct error err = ERROR_INIT;
        write_to(file, "root: ./tree\n", 13);
        cleanup_free char *tree = path_join(real, "tree");
        assert_int_equal(description_load(&e, file, &problems, &err), 0);
        assert_string_equal(e.root_path, tree);
        environment_clear(&e);

        /* relative to where the file is, by whatever way it was named, and not to where we are */
        assert_int_equal(chdir(sub), 0);
        assert_int_equal(description_load(&e, "../e.yaml", &problems, &err), 0);
        assert_string_equal(e.root_path, tree);
        environment_clear(&e);
        assert_int_equal(chdir(place), 0);
        assert_int_equal(description_load(&e, "e.yaml", &problems, &err), 0);
        assert_string_equal(e.root_path, tree);
        environment_clear(&e);
        write_to("sub/up.yaml", "root: ../tree\n", 14);
        assert_int_equal(description_load(&e, "link/up.yaml", &problems, &err), 0);
        cleanup_free char *up_tree = path_join(real, "sub/../tree"); /* and not link/../tree */
        assert_string_equal(e.root_path, up_tree);
        environment_clear(&e);

        /* standard input, relative to where we are */
        cleanup_close int saved = dup(STDIN_FILENO), in = open("e.yaml", O_RDONLY | O_CLOEXEC);
        dup2(in, STDIN_FILENO);
        assert_int_equal(chdir("sub"), 0);
        assert_int_equal(description_load(&e, "-", &problems, &err), 0);
        dup2(saved, STDIN_FILENO);
        cleanup_free char *below_sub = path_join(real, "sub/tree");
        assert_string_equal(e.root_path, below_sub);
        environment_clear(&e);
        assert_int_equal(chdir(old), 0);
        assert_null(problems.data);

        assert_int_equal(description_load(&e, sub, &problems, &err), -EISDIR);
        assert_int_equal(description_load(&e, "/nonexistent/x", &problems, &err), -ENOENT);
        assert_string_equal(err.text, "cannot read the description /nonexistent/x: No such file or directory");
        assert_null(problems.data);

        cleanup_free char *much = memory_new(DESCRIPTION_SIZE_LIMIT + 1);
        memset(much, '\n', DESCRIPTION_SIZE_LIMIT + 1);
        write_to(big, much, DESCRIPTION_SIZE_LIMIT);
        assert_int_equal(description_load(&e, big, &problems, &err), 0);
        write_to(big, much, DESCRIPTION_SIZE_LIMIT + 1);
        assert_int_equal(description_load(&e, big, &problems, &err), -EFBIG);
        assert_null(problems.data);

        write_to(file, "viev: a\n", 8);
        cleanup_free char *expected = memory_format("%s:1:1: unknown key 'viev'; did you mean 'view'?\n", file);
        assert_int_equal(description_load(&e, file, &problems, &err), -EINVAL);
        assert_string_equal(problems.data, expected);
        unlink("sub/up.yaml");
        cleanup_free char *up = path_join(sub, "up.yaml");
        assert_int_equal(unlink(up) | unlink(file) | unlink(big) | unlink(link) | rmdir(sub) | rmdir(place), 0);
}

/* ---- the man page ---- */

/* Adds a line of troff source as it is printed: only the escapes that the page uses. */
static void add_troff(struct text *t, const char *line)
{
        static const struct {
                const char *source, *shown;
        } escapes[] = {{"\\(ti", "~"}, {"\\(aq", "'"}, {"\\(dq", "\""}, {"\\(ha", "^"},
                       {"\\-", "-"},   {"\\e", "\\"},  {"\\&", ""}};
        while (*line) {
                size_t i = 0, count = sizeof escapes / sizeof *escapes;
                while (i < count && strncmp(line, escapes[i].source, strlen(escapes[i].source)) != 0)
                        i++;
                if (i == count) {
                        assert_int_not_equal(*line, '\\'); /* an escape that this test does not know */
                        text_add_bytes(t, line++, 1);
                } else {
                        text_add(t, escapes[i].shown);
                        line += strlen(escapes[i].source);
                }
        }
        text_add(t, "\n");
}

static void test_man_page(void **state)
{
        (void)state;
        cleanup_file FILE *page = fopen(MAN_PAGE, "re");
        if (!page)
                fail_msg("cannot read %s", MAN_PAGE);
        cleanup_text struct text example = {0}, whole = {0};
        cleanup_free char *line = NULL;
        size_t size = 0, examples = 0;
        bool inside = false;
        for (ssize_t n; (n = getline(&line, &size, page)) > 0;) {
                line[n - 1] = '\0';
                text_addf(&whole, "%s\n", line);
                if (strcmp(line, ".\\\" example") == 0) {
                        inside = true;
                } else if (strcmp(line, ".\\\" end") == 0) {
                        struct environment e;
                        cleanup_text struct text problems = {0};
                        if (description_parse(&e, example.data, example.length, "f", "/d", &problems) < 0)
                                fail_msg("%s\n--- is refused ---\n%s", example.data, problems.data);
                        environment_clear(&e);
                        text_clear(&example);
                        inside = false;
                        examples++;
                } else if (inside && line[0] != '.') {
                        add_troff(&example, line);
                }
        }
        assert_true(examples >= 5 && !inside);

        /* The parser's own list of what it knows is in the page, word by word. */
        static const char *const asked[] = {"zzzzzzzzzz: 1", "view: {/a: zzzzzzzzzz}"};
        for (size_t i = 0; i < 2; i++) {
                struct environment e;
                cleanup_text struct text problems = {0};
                assert_int_equal(description_parse(&e, asked[i], strlen(asked[i]), "f", "/d", &problems), -EINVAL);
                char *words = strstr(problems.data, "known: "), *word;
                assert_non_null(words);
                words += strlen("known: ");
                while ((word = strsep(&words, ", \n"))) {
                        cleanup_free char *key = memory_format(i ? "\n.B %s\n" : "\n.B %s:", word);
                        cleanup_free char *with_value = memory_format(i ? "\n.BI {%s: " : "\n.BI %s: ", word);
                        cleanup_free char *with_words = memory_format("\n.BR %s: ", word);
                        if (*word && !strstr(whole.data, key) && !strstr(whole.data, with_value) &&
                            !strstr(whole.data, with_words))
                                fail_msg("'%s' is not in %s", word, MAN_PAGE);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_load), cmocka_unit_test(test_man_page)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}

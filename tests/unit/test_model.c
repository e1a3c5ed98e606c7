// SPDX-License-Identifier: GPL-3.0-or-later
/* Rules against a slow, obvious oracle; records there and back. */
#include "base/cleanup.h"
#include "base/path.h"
#include "model/environment.h"
#include "model/stamp.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* A clean path of up to six short components, from few letters so that prefixes are common. */
static char *random_path(uint64_t *seed)
{
        static const char *const components[] = {"a", "b", "ab", "a b", "a!", "é", "...", "b\n"};
        char path[128] = "";
        unsigned depth = random_below(seed, 7);
        for (unsigned i = 0; i < depth; i++) {
                strcat(path, "/");
                strcat(path, components[random_below(seed, 8)]);
        }
        return memory_string(path[0] ? path : "/");
}

/* The oracle: of all rules whose path is the name or a directory above it, the longest. */
static const struct rule *slow_lookup(const struct view *view, const char *path)
{
        const struct rule *best = NULL;
        for (size_t i = 0; i < view->count; i++) {
                const char *p = view->rules[i].path;
                size_t n = strcmp(p, "/") == 0 ? 0 : strlen(p);
                if (strncmp(path, p, n) == 0 && (path[n] == '/' || path[n] == '\0') &&
                    (!best || strlen(p) > strlen(best->path)))
                        best = &view->rules[i];
        }
        return best;
}

static void published_ports_are_read_and_written(void **state)
{
        (void)state;
        static const struct {
                const char *word, *written;
        } good[] = {{"80", "80:80"},         {"8080:80", "8080:80"},       {"127.0.0.1:8080:80", "8080:80"},
                    {"*:80", "*:80:80"},     {"*:8080:80", "*:8080:80"},   {"[::1]:5353/udp", "[::1]:5353:5353/udp"},
                    {"1:65535", "1:65535"}, {"192.0.2.1:1", "192.0.2.1:1:1"}, {"8080:80/tcp", "8080:80"}};
        static const char *const bad[] = {"",       ":",        "0",          "65536",       "80:",         ":80",      "a:80",
                                          "80:80:80:80", "::1:80:80", "[::1]80", "[127.0.0.1]:80", "80/sctp", "80/", "-1",
                                          "80:81/udp",   "1:2/udp/udp", "[*]:80", "999.0.0.1:80", "000000080"};
        struct publish p, again;
        char word[PUBLISH_WORD];
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
                cleanup_error struct error err = ERROR_INIT;
                assert_int_equal(publish_from_word(good[i].word, &p, &err), 0);
                assert_string_equal(publish_to_word(&p, word), good[i].written);
                assert_int_equal(publish_from_word(word, &again, &err), 0);
                assert_memory_equal(&again.outer, &p.outer, sizeof p.outer);
                assert_string_equal(again.address, p.address);
        }
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                cleanup_error struct error err = ERROR_INIT;
                assert_int_equal(publish_from_word(bad[i], &p, &err), -EINVAL);
        }
}

static void lookup_agrees_with_the_oracle(void **state)
{
        (void)state;
        for (uint64_t round = 1; round <= 400; round++) {
                uint64_t seed = round * 7919;
                struct view view = {0};
                unsigned rules = random_below(&seed, 40);
                for (unsigned i = 0; i < rules; i++) {
                        cleanup_free char *path = random_path(&seed);
                        cleanup_error struct error err = ERROR_INIT; /* two rules on a path: the first stays */
                        view_add(&view, (enum rule_kind)random_below(&seed, 5), path, NULL, 0, &err);
                }
                view_sort(&view);
                for (int i = 0; i < 100; i++) {
                        cleanup_free char *path = random_path(&seed);
                        assert_ptr_equal(view_lookup(&view, path), slow_lookup(&view, path));
                }
                view_clear(&view);
        }
}

static void contradictions_are_refused(void **state)
{
        (void)state;
        struct view view = {0};
        cleanup_error struct error err = ERROR_INIT;
        const char *source = "/s";
        assert_int_equal(view_add(&view, RULE_SHARE, "/a", NULL, 0, &err), 0);
        assert_int_equal(view_add(&view, RULE_SHARE, "/a", NULL, 0, &err), 0);
        assert_int_equal(view_add(&view, RULE_HIDE, "/a", NULL, 0, &err), -EEXIST);
        assert_string_equal(err.text, "two rules on /a contradict each other: share and hide");
        assert_int_equal(view_add(&view, RULE_FROM, "/b", NULL, 0, &err), -EINVAL);
        assert_int_equal(view_add(&view, RULE_SHARE, "/c", &source, 1, &err), -EINVAL);
        view_add_default(&view, RULE_PRIVATE, "/d", "/d");
        view_add_default(&view, RULE_MIRROR, "/a", "/a"); /* gives way to what is there */
        assert_int_equal(view_add(&view, RULE_FROM, "/d", &source, 1, &err), 0); /* and yields to what comes */
        assert_int_equal(view.count, 2);
        view_sort(&view);
        assert_int_equal(view_lookup(&view, "/d/x")->kind, RULE_FROM);
        assert_int_equal(view_lookup(&view, "/a")->kind, RULE_SHARE);
        assert_null(view_lookup(&view, "/zz"));
        view_clear(&view);
}

static void names_are_checked(void **state)
{
        (void)state;
        static const char *const good[] = {"a", "web", "A-1_b.c", "0"}, *const bad[] = {"",    ".",   "..", "-a",
                                                                                        "a/b", "a b", "ä"};
        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
                assert_true(environment_name_valid(good[i]));
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_false(environment_name_valid(bad[i]));
        char name[66];
        memset(name, 'a', sizeof name);
        name[64] = '\0';
        assert_true(environment_name_valid(name));
        name[64] = 'a';
        name[65] = '\0';
        assert_false(environment_name_valid(name));
}

static void records_come_back(void **state)
{
        (void)state;
        for (uint64_t round = 1; round <= 300; round++) {
                uint64_t seed = round * 104729;
                cleanup_error struct error err = ERROR_INIT;
                cleanup_environment struct environment e = {.name = memory_string("e1"),
                                                            .session = random_below(&seed, 2),
                                                            .network = random_below(&seed, 2) ? NETWORK_NONE
                                                                                              : NETWORK_INHERIT};
                if (random_below(&seed, 3) == 0) {
                        e.root = ROOT_DIRECTORY;
                        e.root_path = random_path(&seed);
                }
                if (random_below(&seed, 3) == 0)
                        e.hostname = memory_string("host");
                for (unsigned i = random_below(&seed, 12); i; i--) {
                        cleanup_free char *path = random_path(&seed), *a = random_path(&seed), *b = random_path(&seed);
                        const char *sources[] = {a, b};
                        enum rule_kind kind = (enum rule_kind)random_below(&seed, RULE_KINDS);
                        cleanup_error struct error twice = ERROR_INIT;
                        view_add(&e.view, kind, path, sources,
                                 kind == RULE_FROM    ? 1
                                 : kind == RULE_UNION ? 2
                                                      : 0,
                                 &twice);
                }
                for (unsigned i = random_below(&seed, 4); i; i--) {
                        cleanup_free char *a = random_path(&seed), *b = random_path(&seed);
                        const char *argv[] = {a, b, ""};
                        assert_int_equal(environment_add_program(&e, NULL, argv, 1 + random_below(&seed, 3),
                                                                 (enum restart_policy)random_below(&seed, 3), &err), 0);
                }
                cleanup_free char *record = environment_to_record(&e);
                cleanup_environment struct environment back;
                assert_int_equal(environment_from_record(&back, record, "test", &err), 0);
                cleanup_free char *again = environment_to_record(&back);
                assert_string_equal(again, record);
        }
}

static void damaged_records_are_told(void **state)
{
        (void)state;
        static const struct { const char *record; int result; } cases[] = {
                {"", -EINVAL},
                {"rubbish\n", -EINVAL},
                {"paddock-environment 2\n", -EPROTO},
                {"paddock-environment 1\nname\t../x\n", -EINVAL},
                {"paddock-environment 1\nrule\tshare\trelative\n", -EINVAL},
                {"paddock-environment 1\nrule\tnosuch\t/a\n", -EINVAL},
                {"paddock-environment 1\nrule\tfrom\t/a\n", -EINVAL},
                {"paddock-environment 1\nfuture\tx\n", -EINVAL},
                {"paddock-environment 1\nrule\tshare\t/a\\q\n", -EINVAL},
                {"paddock-environment 1\nrule\tshare\t/a\nrule\thide\t/a\n", -EEXIST},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                cleanup_error struct error err = ERROR_INIT;
                struct environment e;
                assert_int_equal(environment_from_record(&e, cases[i].record, "f", &err), cases[i].result);
                assert_non_null(err.text);
        }
}

/* ---- the base of a layer ---- */

static const char status_text[] = "Package: b\nStatus: install ok installed\nPriority: x\nArchitecture: all\nVersion: "
                                  "1:2-3\n"
                                  "Description: the\n Version: of another\n\n"
                                  "Package: a\nVersion: 1\nStatus: install ok installed\nArchitecture: amd64\n\n\n"
                                  "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n"
                                  "Package: half\nStatus: install ok half-installed\nArchitecture: all\nVersion: 1\n\n"
                                  "Package: last\nStatus: hold ok installed\nArchitecture: all\nVersion: 9";

static void a_package_database_is_read(void **state)
{
        (void)state;
        cleanup_stamp struct stamp stamp = {0};
        stamp_add_dpkg(&stamp, status_text);
        stamp_sort(&stamp);
        assert_int_equal(stamp.package_count, 3);
        assert_string_equal(stamp.packages[0].name, "a:amd64");
        assert_string_equal(stamp.packages[1].name, "b:all");
        assert_string_equal(stamp.packages[1].version, "1:2-3");
        assert_string_equal(stamp.packages[2].name, "last:all");
        cleanup_stamp struct stamp nothing = {0};
        stamp_add_dpkg(&nothing, "");
        stamp_add_dpkg(&nothing, "\n\n\nPackage:\n\nnonsense\n: x\n");
        assert_int_equal(nothing.package_count, 0);
}

static void a_stamp_is_stored_and_compared(void **state)
{
        (void)state;
        cleanup_stamp struct stamp stamp = {.os = memory_string("A\tB\n"), .database = memory_string("/x 1 2")}, read,
                                   now = {0};
        cleanup_error struct error err = ERROR_INIT;
        stamp_add_dpkg(&stamp, status_text);
        stamp_add_mount(&stamp, "/mnt/\xff\n");
        stamp_add_mount(&stamp, "/");
        stamp_add_mount(&stamp, "/");
        stamp_sort(&stamp);
        cleanup_free char *text = stamp_to_text(&stamp);
        assert_int_equal(stamp_from_text(&read, text, &err), 0);
        assert_string_equal(read.os, stamp.os);
        assert_string_equal(read.database, stamp.database);
        assert_int_equal(read.mount_count, 2);
        assert_true(stamp_has_mount(&read, "/mnt/\xff\n"));
        struct package_change *changes;
        assert_int_equal(stamp_compare(&stamp, &read, &changes), 0);
        free(changes);
        stamp_add_package(&now, "a:amd64", "2");
        stamp_add_package(&now, "c:all", "1");
        stamp_add_package(&now, "last:all", "9");
        stamp_sort(&now);
        assert_int_equal(stamp_compare(&read, &now, &changes), 3);
        assert_string_equal(changes[0].name, "a:amd64");
        assert_string_equal(changes[0].before, "1");
        assert_string_equal(changes[0].after, "2");
        assert_string_equal(changes[1].name, "b:all");
        assert_null(changes[1].after);
        assert_string_equal(changes[2].name, "c:all");
        assert_null(changes[2].before);
        free(changes);
}

static void a_damaged_stamp_is_told(void **state)
{
        (void)state;
        static const char *const bad[] = {"", "x", "paddock-base 1", "paddock-base 0\n", "paddock-base 1\nos\n",
                                          "paddock-base 1\nos\ta\nos\tb\n", "paddock-base 1\npackage\ta\n",
                                          "paddock-base 1\npackage\ta\tb\tc\n", "paddock-base 1\nwhat\ta\n",
                                          "paddock-base 1\nos\t\\q\n"};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                struct stamp stamp;
                cleanup_error struct error err = ERROR_INIT;
                assert_int_equal(stamp_from_text(&stamp, bad[i], &err), -EINVAL);
        }
        struct stamp stamp;
        cleanup_error struct error err = ERROR_INIT;
        assert_int_equal(stamp_from_text(&stamp, "paddock-base 2\n", &err), -EPROTO);
}

static void grants_there_and_back(void **state)
{
        (void)state;
        for (uint64_t round = 1; round <= 500; round++) {
                uint64_t seed = round * 104729;
                cleanup_text struct text line = {0};
                cleanup_error struct error err = ERROR_INIT;
                cleanup_grant struct grant g = {.kind = (enum resource_kind)random_below(&seed, 4),
                                                .writable = random_below(&seed, 2),
                                                .noexec = random_below(&seed, 2),
                                                .plain = random_below(&seed, 2),
                                                .keep = random_below(&seed, 2),
                                                .once = random_below(&seed, 2),
                                                .locked = random_below(&seed, 2),
                                                .expiry = (enum expiry_kind)random_below(&seed, 3)};
                cleanup_grant struct grant back;
                g.seconds = g.expiry ? 1 + random_below(&seed, 1u << 31) : 0;
                g.resource = random_below(&seed, 5) ? random_path(&seed) : NULL;
                g.inside = g.resource && random_below(&seed, 2) ? random_path(&seed) : NULL;
                g.set = !g.resource || random_below(&seed, 2) ? memory_string("my-set") : NULL;
                g.to = random_below(&seed, 2) ? memory_string("chat") : NULL;
                grant_to_fields(&line, &g);
                assert_null(strchr(line.data, '\n'));
                assert_int_equal(grant_from_line(&back, line.data + 1, &err), 0);
                assert_true(grant_equal(&g, &back) && g.kind == back.kind);
        }
        static const char *const bad[] = {"",
                                          "resource=",
                                          "resource=x",
                                          "set=a b",
                                          "mode=rw",
                                          "resource=/a\tfor=x",
                                          "resource=/a\tfor=1\tfor=2",
                                          "resource=/a\tresource=/b",
                                          "resource=/a\tnew-word",
                                          "set=a\tat=/b",
                                          "resource=/a\tto=9",
                                          "resource=/a\tuntil=99999999999999999",
                                          "resource=/a\\q"};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                cleanup_error struct error err = ERROR_INIT;
                struct grant g;
                if (grant_from_line(&g, bad[i], &err) == 0)
                        fail_msg("taken: %s", bad[i]);
                assert_null(g.resource);
        }
}

static void spans_and_times(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                long long seconds; /* 0: refused */
        } spans[] = {{"90s", 90},         {"15m", 900},     {"1h", 3600}, {"1h30m", 5400},    {"2d", 172800},
                     {"1w", 604800},      {"1w1s", 604801}, {"", 0},      {"1", 0},           {"h", 0},
                     {"1x", 0},           {"30m1h", 0},     {"0s", 0},    {"-1h", 0},         {"1h ", 0},
                     {"521w", 315100800}, {"9999w", 0},     {"1h1h", 0},  {"99999999999s", 0}};
        for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
                cleanup_error struct error err = ERROR_INIT;
                long long seconds = 0;
                int result = grant_parse_span(spans[i].text, &seconds, &err);
                if (result != (spans[i].seconds ? 0 : -EINVAL) || seconds != spans[i].seconds)
                        fail_msg("%s: %d %lld", spans[i].text, result, seconds);
        }
        static const struct {
                long long seconds;
                const char *text;
        } shown[] = {{0, "0s"}, {59, "59s"}, {60, "1m"}, {5400, "1h 30m"}, {86400 * 3 + 60, "3d"}, {3661, "1h 1m"}};
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
                cleanup_free char *text = grant_span(shown[i].seconds);
                assert_string_equal(text, shown[i].text);
        }
        setenv("TZ", "UTC-2", 1); /* two hours east */
        tzset();
        static const struct {
                const char *text;
                long long now, seconds; /* 0: refused */
        } times[] = {{"01:00", 0, 23 * 3600},
                     {"03:00", 0, 3600},
                     {"03:00:05", 0, 3605},
                     {"1970-01-02", 0, 79200},
                     {"1970-01-02 04:00", 0, 93600},
                     {"1970-01-02T04:00Z", 0, 100800},
                     {"1970-01-01", 0, 0},
                     {"1970-01-02", 80000, 0},
                     {"24:00", 0, 0},
                     {"3:00", 0, 0},
                     {"1971-02-31", 0, 0},
                     {"1970-13-01", 0, 0},
                     {"2000-01-01", 0, 0},
                     {"tomorrow", 0, 0},
                     {"01:00", -1, 0},
                     {"2001-01-01", -1, 978300000},
                     {"", 0, 0},
                     {"1970-01-02x", 0, 0}};
        for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
                cleanup_error struct error err = ERROR_INIT;
                long long seconds = 0;
                int result = grant_parse_time(times[i].text, times[i].now, &seconds, &err);
                if (result != (times[i].seconds ? 0 : -EINVAL) || (result == 0 && seconds != times[i].seconds))
                        fail_msg("%s: %d %lld", times[i].text, result, seconds);
        }
}

static void a_list_of_grants(void **state)
{
        (void)state;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_grant_list struct grant_list list = {0}, copy;
        struct grant a = {.resource = (char *)"/a"}, b = {.resource = (char *)"/a", .writable = true},
                     c = {.resource = (char *)"/b", .inside = (char *)"/a"},
                     d = {.resource = (char *)"/a", .to = (char *)"chat"};
        assert_int_equal(grant_list_add(&list, &a, &err), 0);
        assert_int_equal(grant_list_add(&list, &a, &err), 0);
        assert_int_equal(list.count, 1);
        assert_int_equal(grant_list_add(&list, &b, &err), -EEXIST);
        assert_int_equal(grant_list_add(&list, &c, &err), -EEXIST);
        assert_int_equal(grant_list_add(&list, &d, &err), 0);
        grant_list_copy(&copy, &list);
        assert_true(copy.count == 2 && grant_equal(&copy.grants[1], &d));
        assert_true(grant_identity_check("chat", &err) == 0 && grant_identity_check("Chat", &err) < 0 &&
                    grant_identity_check("", &err) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_package_database_is_read), cmocka_unit_test(a_stamp_is_stored_and_compared),
                cmocka_unit_test(a_damaged_stamp_is_told),    cmocka_unit_test(lookup_agrees_with_the_oracle),
                cmocka_unit_test(grants_there_and_back),      cmocka_unit_test(spans_and_times),
                cmocka_unit_test(a_list_of_grants),           cmocka_unit_test(contradictions_are_refused),
                cmocka_unit_test(published_ports_are_read_and_written),
                cmocka_unit_test(names_are_checked),          cmocka_unit_test(records_come_back),
                cmocka_unit_test(damaged_records_are_told),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

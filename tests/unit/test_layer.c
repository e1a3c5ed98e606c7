// SPDX-License-Identifier: GPL-3.0-or-later
/* The room `layer` and its records: what can be tested without an environment. */
#include "layer/journal.h"
#include "layer/known.h"
#include "layer/layer.h"
#include "layer/links.h"
#include "layer/rename.h"
#include "model/chain.h"
#include "model/cover.h"

#include "base/cleanup.h"
#include "base/tree.h"
#include "random.h"

#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char place[] = "/tmp/paddock-unit.XXXXXX";

static int make_place(void **state)
{
        (void)state;
        strcpy(place + strlen(place) - 6, "XXXXXX");
        return mkdtemp(place) ? 0 : -1;
}

static int remove_place(void **state)
{
        (void)state;
        cleanup_error struct error err = ERROR_INIT;
        return tree_remove(AT_FDCWD, place, &err);
}

static int open_place(void)
{
        int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

/* Names come sorted, each once, whatever the budget and in however many directories they are. */
static void test_names(void **state)
{
        (void)state;
        cleanup_close int top = open_place();
        assert_int_equal(mkdirat(top, "a", 0700), 0);
        assert_int_equal(mkdirat(top, "b", 0700), 0);
        int dirs[] = {openat(top, "a", O_RDONLY | O_DIRECTORY), openat(top, "b", O_RDONLY | O_DIRECTORY)};
        uint64_t seed = 7;
        bool there[1000] = {false};
        for (int i = 0; i < 600; i++) {
                char name[32];
                unsigned n = random_below(&seed, 1000);
                snprintf(name, sizeof name, "name-%u", n);
                there[n] = true;
                close(openat(dirs[random_below(&seed, 2)], name, O_CREAT | O_WRONLY, 0600));
        }
        for (size_t budget = 1; budget < 100000; budget = budget * 3 + 1) {
                struct names names = {.budget = budget};
                cleanup_free char *last = NULL;
                size_t count = 0, expected = 0;
                while (names_next(&names, dirs, 2) == 1)
                        for (size_t i = 0; i < names.count; i++, count++) {
                                assert_true(!last || strcmp(last, names.items[i]) < 0);
                                assert_true(there[atoi(names.items[i] + 5)]);
                                free(last);
                                last = memory_string(names.items[i]);
                        }
                for (size_t i = 0; i < 1000; i++)
                        expected += there[i];
                assert_int_equal(count, expected);
                names_clear(&names);
        }
        close(dirs[0]);
        close(dirs[1]);
}

static void test_cover(void **state)
{
        (void)state;
        struct cover c = {.kind = COVER_CHANGES, .since = {.tv_sec = 5, .tv_nsec = 7}, .inode = 42};
        *vector_add(c.sources, c.source_count, c.source_capacity) = memory_string("/a\n\tb");
        *vector_add(c.names, c.name_count, c.name_capacity) = (struct cover_name){COVER_NAME_HIDDEN,
                                                                                  memory_string("x\\y")};
        cleanup_free char *text = cover_to_text(&c), *copy = memory_string(text);
        cleanup_cover struct cover back;
        assert_int_equal(cover_from_text(&back, copy), 0);
        cleanup_free char *again = cover_to_text(&back);
        assert_string_equal(text, again);
        assert_string_equal(back.sources[0], "/a\n\tb");
        cover_clear(&c);
        static const char *const damaged[] = {"kind\tother\n",      "kind\n",       "since\tx\n",    "since\t-1.0\n",
                                              "source\trelative\n", "name\tx\ty\n", "name\tother\n", "what\tx\n",
                                              "source\t/a\\q\n"};
        for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
                cleanup_free char *bad = memory_string(damaged[i]);
                struct cover none;
                assert_int_equal(cover_from_text(&none, bad), -EINVAL);
        }
}

static void test_journal(void **state)
{
        (void)state;
        cleanup_close int dir = open_place();
        cleanup_error struct error err = ERROR_INIT;
        struct journal j;
        assert_int_equal(journal_open(&j, dir, &err), -ENOENT);
        assert_int_equal(journal_begin(&j, dir, &err), 0);
        struct item item = {.kind = ITEM_LINK,
                            .forced = true,
                            .slot = 3,
                            .path = (char *)"/a\tb\nc",
                            .link = (char *)"/\377",
                            .before = {.type = META_REGULAR, .inode = 9, .size = 8, .mtime = {7, 6}, .ctime = {-5, 4}},
                            .since = {3, 2},
                            .after = META_SYMLINK};
        assert_int_equal(journal_add(&j, &item), 0);
        unsigned long long token = j.token;
        assert_int_equal(journal_finish(&j, dir, &err), 0);
        journal_close(&j);
        assert_int_equal(journal_open(&j, dir, &err), 0);
        assert_true(j.token == token);
        struct item back = {0};
        assert_int_equal(journal_next(&j, &back), 1);
        assert_string_equal(back.path, item.path);
        assert_string_equal(back.link, item.link);
        assert_true(back.kind == ITEM_LINK && back.forced && back.slot == 3 && back.before.inode == 9 &&
                    back.before.mtime.tv_nsec == 6 && back.before.ctime.tv_sec == -5 &&
                    back.before.ctime.tv_nsec == 4 && back.since.tv_sec == 3 && back.since.tv_nsec == 2 &&
                    back.after == META_SYMLINK);
        assert_int_equal(journal_next(&j, &back), 0);
        journal_remove(&j, dir);
        assert_int_equal(journal_open(&j, dir, &err), -ENOENT);
        /* One that was cut off while it was written is none; one that was damaged says so. */
        cleanup_close int fd = openat(dir, "journal", O_CREAT | O_WRONLY, 0600);
        static const char text[] = "paddock-commit 1 12\np\t0\t0\t0\t1\t1\t1\t1.0\t1.0\t1.0\t/x\t\np\t0";
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(journal_open(&j, dir, &err), 0);
        assert_int_equal(journal_next(&j, &back), 1);
        assert_int_equal(journal_next(&j, &back), -EINVAL);
        free(back.path);
        free(back.link);
        journal_close(&j);
}

static void test_known(void **state)
{
        (void)state;
        cleanup_close int dir = open_place();
        cleanup_error struct error err = ERROR_INIT;
        struct known k = {0}, back;
        for (unsigned i = 0; i < 500; i++) {
                cleanup_free char *path = memory_format("/p/%u\n", i % 300);
                struct meta meta = {.inode = i, .ctime = {i, 1}};
                known_set(&k, path, &meta);
        }
        assert_int_equal(k.count, 300);
        assert_int_equal(known_store(&k, dir, &err), 0);
        known_load(&back, dir);
        assert_int_equal(back.count, 300);
        struct meta right = {.inode = 310, .ctime = {310, 1}}, wrong = {.inode = 10, .ctime = {10, 1}};
        assert_true(known_has(&back, "/p/10\n", &right));
        assert_false(known_has(&back, "/p/10\n", &wrong));
        assert_false(known_has(&back, "/p/10", &right));
        known_clear(&k);
        known_clear(&back);
}

static void test_links(void **state)
{
        (void)state;
        struct links l = {0};
        for (unsigned i = 0; i < 5000; i++) {
                cleanup_free char *path = memory_format("/%u", i);
                assert_null(links_first(&l, i % 7, i, path, i));
        }
        for (unsigned i = 0; i < 5000; i++) {
                cleanup_free char *path = memory_format("/%u", i);
                const struct link_entry *first = links_first(&l, i % 7, i, "other", 0);
                assert_string_equal(first->path, path);
                assert_int_equal(first->covers, i);
        }
        for (unsigned i = 0; i < 2 * LINKS_LIMIT; i++) /* bounded */
                links_first(&l, 99, i, "x", 0);
        assert_int_equal(l.count, LINKS_LIMIT);
        links_clear(&l);
}

static void test_chain(void **state)
{
        (void)state;
        cleanup_close int dir = open_place();
        cleanup_error struct error err = ERROR_INIT;
        cleanup_chain struct chain c = {0}, back = {0};
        assert_int_equal(chain_load(dir, "chain", &back, &err), 0);
        assert_int_equal(back.count, 0);
        chain_push(&c, "a-1");
        chain_push(&c, "b-2");
        assert_int_equal(chain_store(dir, "chain", &c, &err), 0);
        assert_int_equal(chain_load(dir, "chain", &back, &err), 0);
        assert_int_equal(back.count, 2);
        assert_string_equal(back.ids[0], "b-2");
        assert_true(chain_id_valid("0-f"));
        assert_false(chain_id_valid("../x") || chain_id_valid("") || chain_id_valid("a/b"));
        cleanup_close int fd = openat(dir, "chain", O_WRONLY | O_APPEND);
        assert_int_equal(write(fd, "../up\n", 6), 6);
        chain_clear(&back);
        assert_int_equal(chain_load(dir, "chain", &back, &err), -EINVAL);
}

static void test_content(void **state)
{
        (void)state;
        cleanup_close int dir = open_place();
        uint64_t seed = 3;
        static char block[600000];
        for (size_t i = 0; i < sizeof block; i++)
                block[i] = (char)random_next(&seed);
        static const size_t sizes[] = {0, 1, 262143, 262144, 262145, 524288, 600000};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                cleanup_close int a = openat(dir, "a", O_CREAT | O_RDWR | O_TRUNC, 0600),
                                  b = openat(dir, "b", O_CREAT | O_RDWR | O_TRUNC, 0600);
                assert_int_equal(write(a, block, sizes[s]), sizes[s]);
                assert_int_equal(write(b, block, sizes[s]), sizes[s]);
                assert_int_equal(compare_content(a, b), 1);
                if (!sizes[s])
                        continue;
                char other = (char)(block[sizes[s] - 1] + 1);
                assert_int_equal(pwrite(b, &other, 1, (off_t)sizes[s] - 1), 1);
                assert_int_equal(compare_content(a, b), 0);
                assert_int_equal(ftruncate(b, (off_t)sizes[s] - 1), 0);
                assert_int_equal(compare_content(a, b), 0);
        }
}

static size_t memory_used(void)
{
        struct mallinfo2 now = mallinfo2();
        return now.uordblks + now.hblkhd;
}

struct told {
        unsigned long count;
        size_t least, most; /* memory */
        char last[64];
};

static int count_told(void *context, const struct change *c)
{
        struct told *t = context;
        size_t used = memory_used();
        t->most = used > t->most ? used : t->most;
        t->count++;
        assert_true(strcmp(t->last, c->path) < 0); /* in the order in which they came */
        assert_string_equal(c->name, strrchr(c->path, '/') + 1);
        assert_int_equal(c->after.size, strtoul(c->name + 1, NULL, 10));
        assert_int_equal(c->before.type, c->kind == CHANGE_DELETED ? META_REGULAR : META_NONE);
        strcpy(t->last, c->path);
        return 0;
}

/* However many changes there are, a bounded number is held: as much memory for a million as for a few more than are
 * held. */
static void test_many_changes(void **state)
{
        (void)state;
        size_t most[2];
        static const unsigned long counts[] = {RENAME_LIMIT + 1000, 1000000};
        for (size_t i = 0; i < 2; i++) {
                struct told told = {.least = memory_used()};
                struct rename_filter f = {.visit = count_told, .context = &told};
                struct layer_slot slot = {.path = (char *)"/"};
                for (unsigned long n = 0; n < counts[i]; n++) {
                        char path[64];
                        snprintf(path, sizeof path, "/some/directory/n%07lu", n);
                        bool gone = n % 3 == 1;
                        struct change c = {.kind = gone ? CHANGE_DELETED : CHANGE_ADDED,
                                           .path = path,
                                           .name = strrchr(path, '/') + 1,
                                           .slot = &slot,
                                           .own = -1,
                                           .base = -1,
                                           .after = {.type = gone ? META_NONE : META_REGULAR, .size = n},
                                           .before = {.type = gone ? META_REGULAR : META_NONE,
                                                      .size = 2 * counts[1] + n}};
                        assert_int_equal(rename_visit(&f, &c), 0);
                }
                assert_int_equal(rename_finish(&f), 0);
                assert_int_equal(told.count, counts[i]);
                most[i] = told.most - told.least;
                rename_clear(&f);
        }
        assert_true(most[1] <= most[0] + 65536);
        assert_true(most[1] < (size_t)40 << 20);
}

/* The names of a directory take no more memory than the budget and what sorts them, however many there are. */
static void test_many_names(void **state)
{
        (void)state;
        cleanup_close int dir = open_place();
        for (int i = 0; i < 6000; i++) {
                char name[64];
                snprintf(name, sizeof name, "a-rather-long-name-of-a-file-%d", i * 7919 % 6000);
                assert_int_equal(symlinkat("x", dir, name), 0);
        }
        size_t least = memory_used(), most = 0, count = 0, budget = 16384;
        struct names names = {.budget = budget};
        while (names_next(&names, &dir, 1) == 1) {
                size_t used = memory_used() - least;
                most = used > most ? used : most;
                count += names.count;
                assert_true(names.bytes <= budget);
        }
        names_clear(&names);
        assert_int_equal(count, 6000);
        assert_true(most < 4 * budget);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)
        const struct CMUnitTest tests[] = {IN_PLACE(test_names),         cmocka_unit_test(test_cover),
                                           IN_PLACE(test_journal),       IN_PLACE(test_known),
                                           cmocka_unit_test(test_links), IN_PLACE(test_chain),
                                           IN_PLACE(test_content),       cmocka_unit_test(test_many_changes),
                                           IN_PLACE(test_many_names)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}

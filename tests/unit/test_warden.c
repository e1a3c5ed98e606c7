// SPDX-License-Identifier: GPL-3.0-or-later
/* The room `warden`: what can be tested without an environment. */
#include "warden/protocol.h"

#include "base/cleanup.h"
#include "host/linux/payload.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static unsigned char buffer[MESSAGE_LIMIT];

static void test_round(void **state)
{
        (void)state;
        struct message_out out;
        message_begin(&out, buffer, sizeof buffer, MESSAGE_GRANT, 0, 42);
        message_number(&out, TAG_GRANT, 1ULL << 63);
        message_text(&out, TAG_RESOURCE, "/home/me/papers");
        message_text(&out, TAG_SET, NULL);
        message_text(&out, TAG_TO, "");
        int size = message_end(&out);
        assert_true(size > 0);

        struct message m;
        assert_int_equal(message_parse(&m, buffer, (size_t)size), 0);
        assert_int_equal(m.header.type, MESSAGE_GRANT);
        assert_int_equal(m.header.serial, 42);
        uint64_t number;
        assert_true(message_get_number(&m, TAG_GRANT, &number));
        assert_true(number == 1ULL << 63);
        assert_false(message_get_number(&m, TAG_RESOURCE, &number)); /* text is no number */
        assert_false(message_get_number(&m, TAG_EXPIRY, &number));
        cleanup_free char *resource = message_get_text(&m, TAG_RESOURCE, 4096),
                          *to = message_get_text(&m, TAG_TO, 4096);
        assert_string_equal(resource, "/home/me/papers");
        assert_string_equal(to, "");
        assert_null(message_get_text(&m, TAG_SET, 4096));
        assert_null(message_get_text(&m, TAG_RESOURCE, 3)); /* too long */
        assert_null(message_get_text(&m, TAG_GRANT, 8));    /* holds a NUL */
}

static void test_full(void **state)
{
        (void)state;
        struct message_out out;
        unsigned char small[24];
        message_begin(&out, small, sizeof small, MESSAGE_STATUS, 0, 1);
        message_text(&out, TAG_NAME, "longer than four");
        assert_int_equal(message_end(&out), -EMSGSIZE);
        message_begin(&out, small, 3, MESSAGE_STATUS, 0, 1);
        assert_int_equal(message_end(&out), -EMSGSIZE);
        static const char zeros[70000];
        message_begin(&out, buffer, sizeof buffer, MESSAGE_STATUS, 0, 1);
        message_bytes(&out, TAG_TEXT, zeros, sizeof zeros);
        message_number(&out, TAG_CODE, 1); /* what would fit is not added either: half a message helps nobody */
        assert_int_equal(message_end(&out), -EMSGSIZE);
}

static void test_refused(void **state)
{
        (void)state;
        struct message_out out;
        struct message m;
        message_begin(&out, buffer, sizeof buffer, MESSAGE_STOP, 0, 9);
        message_number(&out, TAG_GRACE, 500);
        size_t size = (size_t)message_end(&out);
        for (size_t cut = 0; cut < size; cut++)
                assert_int_equal(message_parse(&m, buffer, cut), -EBADMSG);
        assert_int_equal(message_parse(&m, buffer, size + 1), -EBADMSG);
        buffer[0]++; /* the version */
        assert_int_equal(message_parse(&m, buffer, size), -EPROTO);
        assert_int_equal(message_version(&m), MESSAGE_VERSION + 1);
        buffer[0]--;
        buffer[1] ^= 1;
        assert_int_equal(message_parse(&m, buffer, size), -EBADMSG);
        buffer[1] ^= 1;
        buffer[sizeof(struct message_header) + 2]++; /* the length of the field */
        assert_int_equal(message_parse(&m, buffer, size), -EBADMSG);
        assert_int_equal(m.length, 0);
}

/* Flipped bits give a message that lies in its bytes, or none. */
static void test_damaged(void **state)
{
        (void)state;
        uint64_t seed = 11;
        for (int round = 0; round < 20000; round++) {
                struct message_out out;
                message_begin(&out, buffer, sizeof buffer, MESSAGE_ENTER, 0, 1);
                for (int i = 0; i < 5; i++)
                        message_bytes(&out, (enum message_tag)random_below(&seed, 60), "abcdefghijkl",
                                      random_below(&seed, 13));
                size_t size = (size_t)message_end(&out);
                for (unsigned i = 0, count = 1 + random_below(&seed, 4); i < count; i++)
                        buffer[random_below(&seed, (unsigned)size)] ^= (unsigned char)(1u << random_below(&seed, 8));
                struct message m;
                if (message_parse(&m, buffer, size) < 0)
                        continue;
                size_t offset = 0, length;
                unsigned tag;
                const unsigned char *field;
                while (message_next(&m, &offset, &tag, &field, &length))
                        assert_true(field >= buffer && field + length <= buffer + size);
                assert_int_equal(offset, m.length);
        }
}

static void test_error(void **state)
{
        (void)state;
        struct message_out out = {.data = buffer, .room = sizeof buffer};
        cleanup_error struct error err = ERROR_INIT, back = ERROR_INIT;
        error_set(&err, EBUSY, "it is in use");
        error_remedy(&err, "wait");
        int size = message_end_error(&out, 3, &err);
        struct message m;
        assert_int_equal(message_parse(&m, buffer, (size_t)size), 0);
        assert_int_equal(m.header.serial, 3);
        assert_int_equal(message_error(&m, &back), -EBUSY);
        assert_string_equal(back.text, "it is in use");
        assert_string_equal(back.remedy, "wait");
        message_begin(&out, buffer, sizeof buffer, MESSAGE_ERROR, MESSAGE_ANSWER, 3);
        message_number(&out, TAG_CODE, 1ULL << 40);
        assert_int_equal(message_parse(&m, buffer, (size_t)message_end(&out)), 0);
        assert_int_equal(message_error(&m, &back), -EPROTO);
        assert_non_null(back.text);
}

/* What is to run comes back as it was sealed. */
static void test_payload(void **state)
{
        (void)state;
        static char *argv[] = {(char *)"program", (char *)"", (char *)"a b\n", NULL},
                    *variables[] = {(char *)"A=1", (char *)"B=", NULL};
        cleanup_error struct error err = ERROR_INIT;
        struct payload p = {.argv = argv,
                            .variables = variables,
                            .cwd = (char *)"/home",
                            .umask = 027,
                            .mask = 1ULL << 63,
                            .ignored = 5,
                            .what = {INHERIT_KEEP, INHERIT_DIRECTORY, INHERIT_CLOSE}};
        p.directory[1] = (char *)"/dir";
        int fd = payload_seal(&p, &err);
        assert_true(fd >= 0);
        assert_true(write(fd, "x", 1) < 0 && ftruncate(fd, 0) < 0); /* sealed */
        struct payload back;
        assert_int_equal(payload_read(fd, &back, &err), 0);
        for (int i = 0; i < 4; i++)
                assert_true(i == 3 ? !back.argv[3] : strcmp(back.argv[i], argv[i]) == 0);
        assert_string_equal(back.variables[1], "B=");
        assert_null(back.variables[2]);
        assert_string_equal(back.cwd, "/home");
        assert_null(back.user);
        assert_int_equal(back.umask, 027);
        assert_true(back.mask == 1ULL << 63 && back.ignored == 5);
        assert_int_equal(back.what[1], INHERIT_DIRECTORY);
        assert_string_equal(back.directory[1], "/dir");
        payload_clear(&back);
        close(fd);
        p.what[1] = INHERIT_DIRECTORY;
        p.directory[1] = NULL;
        fd = payload_seal(&p, &err);
        assert_int_equal(payload_read(fd, &back, &err), -EBADMSG); /* a directory without a name */
        assert_null(back.argv);
        close(fd);
}

/* Damaged ones are refused, or are one: nothing in them points out of the bytes. */
static void test_payload_damaged(void **state)
{
        (void)state;
        static char *argv[] = {(char *)"program", (char *)"argument", NULL}, *variables[] = {(char *)"A=1", NULL};
        cleanup_error struct error err = ERROR_INIT;
        struct payload p = {.argv = argv, .variables = variables, .cwd = (char *)"/"};
        cleanup_close int fd = payload_seal(&p, &err);
        struct stat st;
        assert_int_equal(fstat(fd, &st), 0);
        size_t size = (size_t)st.st_size;
        cleanup_free char *good = memory_new(size), *bytes = memory_new(size);
        assert_int_equal(pread(fd, good, size, 0), (ssize_t)size);
        for (size_t cut = 0; cut < size; cut++) {
                memcpy(bytes, good, size);
                assert_int_equal(payload_parse(&p, bytes, cut), -EBADMSG);
        }
        uint64_t seed = 3;
        for (int round = 0; round < 20000; round++) {
                memcpy(bytes, good, size);
                for (unsigned i = 1 + random_below(&seed, 4); i; i--)
                        bytes[random_below(&seed, (unsigned)size)] ^= (char)(1u << random_below(&seed, 8));
                if (payload_parse(&p, bytes, size) < 0) {
                        assert_null(p.argv);
                        continue;
                }
                for (size_t i = 0; p.argv[i]; i++)
                        assert_true(p.argv[i] >= bytes && p.argv[i] + strlen(p.argv[i]) < bytes + size);
                payload_clear(&p);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_payload), cmocka_unit_test(test_payload_damaged),
                cmocka_unit_test(test_round), cmocka_unit_test(test_full), cmocka_unit_test(test_refused),
                cmocka_unit_test(test_damaged), cmocka_unit_test(test_error),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

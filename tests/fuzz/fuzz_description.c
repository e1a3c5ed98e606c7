// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any bytes as a description. Either they are refused, with problems that each name a place, or the environment that
 * comes out survives being written and read again.
 *
 *      clang -fsanitize=fuzzer,address ... tests/fuzz/fuzz_description.c      searches
 *      gcc -DFUZZ_REPLAY ... tests/fuzz/fuzz_description.c                    runs the files given as arguments
 */
#include "description/description.h"

#include "base/cleanup.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
        if (!good) {
                fprintf(stderr, "fuzz_description: %s\n", what);
                abort();
        }
}

/* Every line is "f:LINE:COLUMN: text", of printable characters. */
static void check_problems(const char *problems)
{
        check(problems && *problems, "refused without a problem");
        while (*problems) {
                int line = 0, column = 0, n = 0;
                check(sscanf(problems, "f:%d:%d: %n", &line, &column, &n) == 2 && n && line > 0 && column > 0,
                      "a problem without a place");
                const char *end = strchr(problems, '\n');
                check(end && end > problems + n, "a problem without a text");
                for (const char *p = problems; p < end; p++)
                        check((unsigned char)*p >= 0x20 && *p != 0x7f, "a control character in a problem");
                problems = end + 1;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct environment e, back;
        cleanup_text struct text problems = {0};
        if (description_parse(&e, (const char *)data, size, "f", "/d", &problems) < 0) {
                static const struct environment clear;
                check(memcmp(&e, &clear, sizeof e) == 0, "an environment is left behind");
                check_problems(problems.data);
                return 0;
        }
        check(!problems.data, "accepted with a problem");
        cleanup_free char *first = description_write(&e);
        if (description_parse(&back, first, strlen(first), "f", "/other", &problems) < 0) {
                fprintf(stderr, "%s%s", first, problems.data);
                check(false, "what was written is refused");
        }
        cleanup_free char *second = description_write(&back);
        check(strcmp(first, second) == 0, "another environment came back");
        environment_clear(&e);
        environment_clear(&back);
        return 0;
}

#ifdef FUZZ_REPLAY
int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                cleanup_file FILE *file = fopen(argv[i], "re");
                if (!file) {
                        perror(argv[i]);
                        return 1;
                }
                cleanup_text struct text content = {0};
                static const size_t piece = 65536;
                cleanup_free char *buffer = memory_new(piece);
                for (size_t n; (n = fread(buffer, 1, piece, file)) > 0;)
                        text_add_bytes(&content, buffer, n);
                /* In memory of exactly its size, so that a sanitizer sees reading past the end. */
                cleanup_free uint8_t *exact = memory_new(content.length);
                if (content.length)
                        memcpy(exact, content.data, content.length);
                LLVMFuzzerTestOneInput(exact, content.length);
        }
        return 0;
}
#endif

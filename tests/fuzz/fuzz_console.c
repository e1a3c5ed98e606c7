// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any bytes as what a console says. What comes out are only the sequences that place, colour and erase text, whatever
 * came in and however it was cut into pieces.
 *
 *      clang -fsanitize=fuzzer,address ... tests/fuzz/fuzz_console.c
 */
#include "warden/filter.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
        if (!good) {
                fprintf(stderr, "fuzz_console: %s\n", what);
                abort();
        }
}

/* An independent reading of what came out. */
static void read_back(const char *out, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                unsigned char c = (unsigned char)out[i];
                check(c >= 0x20 || (c >= 0x07 && c <= 0x0d) || c == 0x1b, "a control character");
                check(c != 0x7f, "a delete");
                check(!(c == 0xc2 && i + 1 < size && (unsigned char)out[i + 1] < 0xa0), "a C1 control in UTF-8");
                if (c != 0x1b)
                        continue;
                check(i + 1 < size, "half a sequence");
                char kind = out[++i];
                if (kind == '(' || kind == ')') {
                        check(i + 1 < size && strchr("B0", out[++i]), "another character set");
                } else if (kind != '[') {
                        check(strchr("78DEM=>", kind) != NULL, "another sequence");
                } else {
                        while (++i < size && (unsigned char)out[i] < 0x40)
                                check(strchr("0123456789;:?", out[i]) != NULL, "a strange parameter");
                        check(i < size && strchr("@ABCDEFGHJKLMPSTXdfmrsuhl", out[i]),
                              "a control sequence that is more than text");
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *whole = malloc(size + FILTER_SEQUENCE), *pieces = malloc(size + 2 * FILTER_SEQUENCE);
        struct filter one = {0}, two = {0};
        size_t first = size ? data[0] % size : 0;
        size_t length = filter_text(&one, (const char *)data, size, whole);
        size_t cut = filter_text(&two, (const char *)data, first, pieces);
        cut += filter_text(&two, (const char *)data + first, size - first, pieces + cut);
        check(length <= size && cut == length && memcmp(whole, pieces, length) == 0, "pieces give another text");
        read_back(whole, length);
        free(whole);
        free(pieces);
        return 0;
}

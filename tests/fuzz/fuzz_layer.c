// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any bytes as the record of what a slot covers. Either it is refused and nothing is left behind, or what comes out survives being
 * written and read again.
 *
 *      clang -fsanitize=fuzzer,address ... tests/fuzz/fuzz_layer.c
 */
#include "model/cover.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
        if (!good) {
                fprintf(stderr, "fuzz_layer: %s\n", what);
                abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_free char *text = memory_new(size + 1);
        memcpy(text, data, size);
        struct cover c, back;
        if (cover_from_text(&c, text) < 0) {
                static const struct cover clear;
                check(memcmp(&c, &clear, sizeof c) == 0, "something is left behind");
                return 0;
        }
        cleanup_free char *first = cover_to_text(&c), *copy = memory_string(first);
        check(cover_from_text(&back, copy) == 0, "what was written is refused");
        cleanup_free char *second = cover_to_text(&back);
        check(strcmp(first, second) == 0, "another record came back");
        cover_clear(&c);
        cover_clear(&back);
        return 0;
}

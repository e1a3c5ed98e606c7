// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any bytes as the record of what a slot covers, and as the journal of a commit. Either it is refused and nothing is
 * left behind, or what comes out survives being written and read again.
 *
 *      clang -fsanitize=fuzzer,address ... tests/fuzz/fuzz_layer.c
 */
#include "layer/journal.h"
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

static void check_cover(char *text)
{
        struct cover c, back;
        if (cover_from_text(&c, text) < 0) {
                static const struct cover clear;
                check(memcmp(&c, &clear, sizeof c) == 0, "something is left behind");
                return;
        }
        cleanup_free char *first = cover_to_text(&c), *copy = memory_string(first);
        check(cover_from_text(&back, copy) == 0, "what was written is refused");
        cleanup_free char *second = cover_to_text(&back);
        check(strcmp(first, second) == 0, "another record came back");
        cover_clear(&c);
        cover_clear(&back);
}

static void check_item(const struct item *item)
{
        char *text = NULL;
        size_t size = 0;
        struct journal out = {.file = open_memstream(&text, &size)}, in = JOURNAL_NONE;
        struct item back = {0};
        check(journal_add(&out, item) == 0, "an item cannot be written");
        journal_close(&out);
        in.file = fmemopen(text, size, "r");
        check(journal_next(&in, &back) == 1, "an item that was written is refused");
        check(back.kind == item->kind && back.forced == item->forced && back.only_time == item->only_time &&
                      back.slot == item->slot && memcmp(&back.before, &item->before, sizeof back.before) == 0 &&
                      back.after == item->after && memcmp(&back.since, &item->since, sizeof back.since) == 0 &&
                      strcmp(back.path, item->path) == 0 && !back.link == !item->link &&
                      (!back.link || strcmp(back.link, item->link) == 0),
              "another item came back");
        free(back.path);
        free(back.link);
        journal_close(&in);
        free(text);
}

static void check_journal(char *text, size_t size)
{
        struct journal j = {.file = size ? fmemopen(text, size, "r") : NULL};
        struct item item = {0};
        while (j.file && journal_next(&j, &item) == 1)
                check_item(&item);
        free(item.path);
        free(item.link);
        journal_close(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_free char *text = memory_new(size + 1);
        memcpy(text, data, size);
        check_journal(text, size);
        check_cover(text);
        return 0;
}

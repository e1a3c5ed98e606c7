// SPDX-License-Identifier: GPL-3.0-or-later
/* The list of problems found in a description, and the bytes of a file made fit for a message: see yaml.h. */
#include "description/yaml.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <string.h>

#define PROBLEM_LIMIT 1000
#define SHOWN_LIMIT 60

char *shown(const char *text, size_t length)
{
        cleanup_text struct text t = {0};
        size_t end = length;
        if (length > SHOWN_LIMIT)
                for (end = SHOWN_LIMIT; end > SHOWN_LIMIT - 4 && (text[end] & 0xC0) == 0x80;)
                        end--;
        text_add(&t, "");
        for (size_t from = 0; from < end;) {
                size_t piece = strnlen(text + from, end - from);
                cleanup_free char *copy = memory_new(piece + 1);
                memcpy(copy, text + from, piece);
                text_add_escaped(&t, copy);
                from += piece;
                if (from < end) {
                        text_add(&t, "\\x00");
                        from++;
                }
        }
        if (end < length)
                text_add(&t, "...");
        return steal_pointer(&t.data);
}

void problem_add(struct problems *problems, int line, int column, const char *fmt, ...)
{
        if (problems->count > PROBLEM_LIMIT)
                return;
        struct problem *problem = vector_add(problems->items, problems->count, problems->capacity);
        *problem = (struct problem){
                .line = line > 0 ? line : 1, .column = column > 0 ? column : 1, .order = problems->count};
        if (problems->count > PROBLEM_LIMIT) {
                problem->text = memory_string("too many problems; what follows is not listed");
                return;
        }
        va_list args;
        va_start(args, fmt);
        if (vasprintf(&problem->text, fmt, args) < 0)
                problem->text = memory_string("a problem that there was no memory to describe");
        va_end(args);
}

static int by_place(const void *a, const void *b)
{
        const struct problem *x = a, *y = b;
        if (x->line != y->line)
                return x->line < y->line ? -1 : 1;
        if (x->column != y->column)
                return x->column < y->column ? -1 : 1;
        return x->order < y->order ? -1 : x->order > y->order;
}

void problems_print(struct problems *problems, const char *origin, struct text *out)
{
        /* The one that tells of the rest stays last. */
        size_t sorted = problems->count < PROBLEM_LIMIT ? problems->count : PROBLEM_LIMIT;
        if (sorted)
                qsort(problems->items, sorted, sizeof *problems->items, by_place);
        for (size_t i = 0; i < problems->count; i++) {
                const struct problem *p = &problems->items[i];
                text_add_escaped(out, origin);
                text_addf(out, ":%d:%d: %s\n", p->line, p->column, p->text);
        }
}

void problems_clear(struct problems *problems)
{
        for (size_t i = 0; i < problems->count; i++)
                free(problems->items[i].text);
        free(problems->items);
        *problems = (struct problems){0};
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* Allocation that does not come back empty-handed: see cleanup.h. */
#include "base/cleanup.h"

#include <stdarg.h>
#include <string.h>

/* 125 is the exit status of paddock's own failures. Nothing has been started when these are called: the set-up
 * processes allocate nothing after they were forked but through their own checked calls. */
static void *must(void *p)
{
        if (!p) {
                static const char message[] = "paddock: out of memory\n";
                (void)!write(STDERR_FILENO, message, sizeof message - 1);
                _exit(125);
        }
        return p;
}

void *memory_new(size_t size)
{
        return must(calloc(1, size ? size : 1));
}

void *memory_grow(void *p, size_t count, size_t size)
{
        return must(reallocarray(p, count ? count : 1, size));
}

char *memory_string(const char *s)
{
        return must(strdup(s));
}

char *memory_format(const char *fmt, ...)
{
        char small[256]; /* most are: formatting once is enough */
        va_list args, again;
        va_start(args, fmt);
        va_copy(again, args);
        // With musl's <stdarg.h> clang-tidy does not see va_start():
        // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
        int length = vsnprintf(small, sizeof small, fmt, args);
        va_end(args);
        char *text = NULL;
        if (length >= (int)sizeof small) {
                text = memory_new((size_t)length + 1);
                vsnprintf(text, (size_t)length + 1, fmt, again);
        } else if (length >= 0) {
                text = memory_string(small);
        }
        va_end(again);
        return must(text);
}

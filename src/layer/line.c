// SPDX-License-Identifier: GPL-3.0-or-later
/* Numbers and times in lines: see line.h. */
#include "layer/line.h"

static void add_digits(struct text *line, uint64_t n, size_t least)
{
        char digits[24], *end = digits + sizeof digits, *at = end;
        while (n || (size_t)(end - at) < least) {
                *--at = (char)('0' + n % 10);
                n /= 10;
        }
        text_add_bytes(line, at, (size_t)(end - at));
}

void line_add_number(struct text *line, uint64_t n)
{
        add_digits(line, n, 1);
}

void line_add_time(struct text *line, const struct timespec *t)
{
        if (t->tv_sec < 0)
                text_add_bytes(line, "-", 1);
        add_digits(line, t->tv_sec < 0 ? -(uint64_t)t->tv_sec : (uint64_t)t->tv_sec, 1);
        text_add_bytes(line, ".", 1);
        add_digits(line, (uint64_t)t->tv_nsec, 9);
}

bool line_take_number(const char **at, uint64_t *n)
{
        const char *p = *at;
        for (*n = 0; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(*n, 10, n) || __builtin_add_overflow(*n, (uint64_t)(*p - '0'), n))
                        return false;
        bool any = p != *at;
        *at = p;
        return any;
}

bool line_take_time(const char **at, struct timespec *t)
{
        uint64_t seconds, nanoseconds;
        bool before = **at == '-';
        *at += before;
        if (!line_take_number(at, &seconds) || seconds > INT64_MAX || **at != '.')
                return false;
        ++*at;
        if (!line_take_number(at, &nanoseconds) || nanoseconds > 999999999)
                return false;
        *t = (struct timespec){.tv_sec = before ? -(time_t)seconds : (time_t)seconds, .tv_nsec = (long)nanoseconds};
        return true;
}

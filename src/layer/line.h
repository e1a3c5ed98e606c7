// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Numbers and times in the lines of a record, written and read by hand: with printf() and scanf() the records of a
 * commit would cost more than looking at its changes.
 */
#pragma once

#include "base/text.h"

#include <stdint.h>
#include <time.h>

void line_add_number(struct text *line, uint64_t n);
/* SECONDS.NANOSECONDS */
void line_add_time(struct text *line, const struct timespec *t);

/* Reads what those wrote at *at, and moves *at behind it. False: there is no such thing. */
bool line_take_number(const char **at, uint64_t *n);
bool line_take_time(const char **at, struct timespec *t);

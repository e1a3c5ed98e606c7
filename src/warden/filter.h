// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a console says, reduced to text: control sequences that only place, colour and erase text pass; everything
 * by which a terminal could be made to answer, to keep, to rename, to print or to copy (OSC, DCS, reports, window
 * operations, C1 controls) is left out. Pure; the state is kept between pieces.
 */
#pragma once

#include <stddef.h>

#define FILTER_SEQUENCE 48 /* a longer one is none that is meant well */

struct filter {
        int state;
        unsigned utf8; /* bytes that still belong to a character */
        char sequence[FILTER_SEQUENCE];
        size_t length;
};

/* Writes to `out`, which has room for size + FILTER_SEQUENCE bytes. Returns how many. */
size_t filter_text(struct filter *f, const char *data, size_t size, char *out);

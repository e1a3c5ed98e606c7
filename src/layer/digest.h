// SPDX-License-Identifier: GPL-3.0-or-later
/* SHA-256, by Nettle. */
#pragma once

#include "base/text.h"

#include <nettle/sha2.h>
#include <stddef.h>

#define DIGEST_HEX 65 /* with the NUL */

struct digest {
        struct sha256_ctx state;
};

void digest_begin(struct digest *d);
void digest_add(struct digest *d, const void *data, size_t size);
/* What was added so far, as lower-case hexadecimal digits; more may be added afterwards. */
void digest_hex(const struct digest *d, char hex[DIGEST_HEX]);
/* A line as sha256sum(1) writes and checks it: digest and name; one with a newline or backslash is marked, and
 * escaped. */
void digest_line(const struct digest *d, const char *name, struct text *line);

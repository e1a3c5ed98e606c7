// SPDX-License-Identifier: GPL-3.0-or-later
/* SHA-256: see digest.h. */
#include "layer/digest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void digest_begin(struct digest *d)
{
        sha256_init(&d->state);
}

void digest_add(struct digest *d, const void *data, size_t size)
{
        sha256_update(&d->state, size, data);
}

void digest_hex(const struct digest *d, char hex[DIGEST_HEX])
{
        struct digest copy = *d; /* sha256_digest() ends the state that it is given */
        uint8_t value[SHA256_DIGEST_SIZE];
        sha256_digest(&copy.state, sizeof value, value);
        for (size_t i = 0; i < sizeof value; i++)
                snprintf(hex + 2 * i, 3, "%02x", value[i]);
}

void digest_line(const struct digest *d, const char *name, struct text *line)
{
        char hex[DIGEST_HEX];
        digest_hex(d, hex);
        bool escaped = strpbrk(name, "\n\r\\");
        text_addf(line, "%s%s  ", escaped ? "\\" : "", hex);
        for (; escaped && *name; name++)
                if (*name == '\n' || *name == '\r' || *name == '\\')
                        text_addf(line, "\\%c", *name == '\n' ? 'n' : *name == '\r' ? 'r' : '\\');
                else
                        text_add_bytes(line, name, 1);
        text_addf(line, "%s\n", name);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* A small deterministic generator (xorshift64*), so that a failing property can be run again from its seed. */
#pragma once

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * 0x2545F4914F6CDD1DULL;
}

static inline unsigned random_below(uint64_t *state, unsigned limit)
{
        return (unsigned)(random_next(state) >> 33) % limit;
}

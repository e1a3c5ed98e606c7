// SPDX-License-Identifier: GPL-3.0-or-later
/* How the limits of an environment that runs are held: found out at the start, kept beside it for `show`. */
#pragma once

#include "model/environment.h"

#include <stdbool.h>

struct holding {
        char *cgroup; /* struct launch has it; or NULL */
        struct limit_held held[LIMIT_COUNT];
};

/* Before anything of the environment is made. May execute this program anew: see host_limits_prepare(). */
void limits_prepare(struct holding *h, const struct environment *e, bool again);

/* The file `limits` in the environment's directory. Without one limits_recorded() is false. */
void limits_record(int directory, const struct holding *h);
bool limits_recorded(int directory, struct limit_held held[LIMIT_COUNT]);

/* Bytes of memory that have to be watched, or 0. */
uint64_t limits_watched(const struct holding *h, const struct environment *e);

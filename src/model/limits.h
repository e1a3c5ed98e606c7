// SPDX-License-Identifier: GPL-3.0-or-later
/* What an environment may use: the map `limits:` of a description, the option --limit. It knows no operating system:
 * which of it is enforced, and by what, is the host's to say (struct limit_held). */
#pragma once

#include "base/error.h"

#include <stdint.h>

enum limit_kind {
        LIMIT_DISK,   /* bytes of its layer */
        LIMIT_MEMORY, /* bytes of all its processes together */
        LIMIT_TASKS,  /* processes and threads together */
        LIMIT_CPU,    /* weight among those who want the processor too; 100 is everybody's */
        LIMIT_IO,     /* the same of block devices */
        LIMIT_FILES,  /* open files of each process */
        LIMIT_COUNT
};

/* What is done when a limit is passed that is only watched. */
enum limit_over { OVER_TELL, OVER_STOP, OVER_FREEZE };

struct limits {
        uint64_t value[LIMIT_COUNT]; /* 0: no limit */
        enum limit_over over;
};

/* How a limit is held. */
enum limit_hold { HOLD_NOT, HOLD_WATCHED, HOLD_ENFORCED };
struct limit_held {
        enum limit_hold how;
        char by[256]; /* what enforces it; or why nothing does */
};

const char *limit_word(enum limit_kind kind);
const char *limit_over_word(enum limit_over over);
const char *limit_hold_word(enum limit_hold how);

/* Sets what `word` names (a kind, or "over") to what `value` says. ENOENT without `err`: there is no such limit.
 * EINVAL: the value is none; `err` says what it would be. */
int limits_set(struct limits *limits, const char *word, const char *value, struct error *err);

/* A value as limits_set() takes it. */
#define LIMIT_VALUE 24
const char *limit_value(enum limit_kind kind, uint64_t value, char text[LIMIT_VALUE]);

/* Lets what `with` sets replace what `limits` says. */
void limits_override(struct limits *limits, const struct limits *with);

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The view of a started environment as it is now: its rules when it was started, with those that were added and taken
 * away since. Kept beside the record as env/NAME/live for as long as it runs, so that the next change knows what it
 * changes. The first line is the working directory that the plan was made for and the slots of its layer that it
 * showed, the rest an environment's record.
 */
#pragma once

#include "model/environment.h"

struct live {
        char *cwd; /* NULL: none */
        unsigned *slots; /* that were shown when it was started */
        size_t slot_count, slot_capacity;
        struct environment environment;
};

#define cleanup_live __attribute__((cleanup(live_clear)))

/* ENOENT: it was not started, or by an older paddock. */
int live_load(int directory, struct live *live, struct error *err);
int live_store(int directory, const struct live *live, const struct environment *environment, struct error *err);
void live_remove(int directory);
void live_clear(struct live *live);

// SPDX-License-Identifier: GPL-3.0-or-later
/* What a layer was made over, and how far the main system moved on since. */
#pragma once

#include "model/stamp.h"
#include "model/store.h"
#include "plan/system.h"

/* What is different outside now. */
struct moved {
        bool recorded;        /* there is a stamp at all */
        struct stamp then, now;
        struct package_change *changes; /* all packages that changed, */
        bool *held;                     /* and which of them the layer has files of */
        size_t count, held_count;
        bool own_database; /* the layer has a package database of its own */
        bool unknown;      /* the database changed, but its packages cannot be read */
        bool os;           /* another system, or another version of it */
};

#define cleanup_moved __attribute__((cleanup(moved_clear)))
void moved_clear(struct moved *m);

/* Compares the stamp of the open environment's directory with the main system. Nothing to compare is no failure. Unless
 * `whole`, an untouched package database answers for everything. */
int base_compare(int environment, const struct slots *slots, const struct system *system, bool whole, struct moved *m,
                 struct error *err);

/* Tells on standard error what concerns the layer of environment `name`, if anything does. */
void base_tell(const struct moved *m, const char *name);

/* Writes the stamp. */
int base_record(int environment, const struct system *system, struct error *err);

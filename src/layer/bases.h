// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What an environment's changes were made from, by content: for proofs that times cannot give, because the layer came
 * from another machine (portable.h). `bases` in the environment's directory is text, a line a fact:
 *
 *      paddock-bases 1
 *      DIGEST <SPACE> SLOT <SPACE> PATH    the path in that slot, escaped
 *
 * DIGEST is SHA-256 of what stood outside: type, permissions, attributes, and content or target; of a directory that
 * was deleted or replaced also of all below it. Owners and times are not in it: they are another machine's. `absent`:
 * nothing stood there. It is written only of what is proven at that moment, and forgotten with the change.
 */
#pragma once

#include "layer/known.h"
#include "layer/layer.h"

#include <stdio.h>

struct bases {
        struct bases_entry {
                unsigned slot;
                char *path;   /* in the slot, without a slash before it */
                char *digest; /* or "absent" */
        } *entries; /* sorted */
        size_t count, capacity;
};

/* Parses `text`, which is changed. False: it is damaged, and then `b` is empty. */
bool bases_parse(struct bases *b, char *text);
/* Reads those of the environment's directory. None, or damaged ones, are fine: nothing is proven then. */
void bases_load(struct bases *b, int directory);
void bases_clear(struct bases *b);

/* Does what stands at `target` outside prove to be what the change was made from? Then *since is a time before it
 * was looked at: what is below it and is younger has changed later. A name that is not there is proven when
 * nothing stood there. */
bool bases_prove(const struct bases *b, const struct change *change, const char *target, struct timespec *since);

/* Writes to `to` what the outside proves of all changes of the layer, whose `bases` are `b`. Returns how many
 * could not be written because there are too many, negative: an errno. */
long bases_collect(const struct layer *layer, const struct bases *b, const struct known *known, FILE *to, struct error *err);

/* Forgets what is at or below `path` inside (the environment does not run). */
int bases_forget(const struct layer *layer, const char *path, struct error *err);

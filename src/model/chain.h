// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Layers that are no longer written, shared by snapshots and clones.
 *
 * A snapshot freezes a layer: `layer` of the environment becomes frozen/ID/layer in the state directory, and a new one
 * takes its place whose file `chain` names it, topmost first, an ID a line. What a slot shows is its own `upper`, over
 * the `upper` of the same number in each layer of the chain, over what it covers. snapshot/TAG of an environment is the
 * chain of that moment. Nothing frozen is ever changed, so any number of chains may hold it; what none holds is removed
 * by `paddock gc`.
 */
#pragma once

#include "base/error.h"
#include "model/store.h"

#include <stdbool.h>

struct chain {
        char **ids; /* topmost first */
        size_t count, capacity;
};

#define cleanup_chain __attribute__((cleanup(chain_clear)))

bool chain_id_valid(const char *id);
/* One that there was never before. */
void chain_id_fresh(char id[64]);
/* Reads file `name` of an open directory. None is the empty chain. */
int chain_load(int dir, const char *name, struct chain *chain, struct error *err);
/* Writes it, durably, whole or not at all. */
int chain_store(int dir, const char *name, const struct chain *chain, struct error *err);
/* Are all its layers there? ENOENT, with what can be done. */
int chain_check(struct store *s, const struct chain *chain, struct error *err);
/* Puts `id` on top. */
void chain_push(struct chain *chain, const char *id);
void chain_clear(struct chain *chain);

/* Opens frozen/, made when it is not there, and locks it: shared while something is frozen or taken up, `alone` to
 * remove. Returns its descriptor, which holds the lock. */
int chain_lock(struct store *s, bool alone, struct error *err);

/* Removes what no environment and no snapshot holds. Returns how many. */
int chain_collect(struct store *s, struct error *err);

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What this machine lets paddock do.
 *
 * Each probe really tries a mechanism, with the system calls that a run would make, in a forked process that leaves
 * nothing behind. Version numbers and switches are read only to explain what was found.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum probe_state {
        PROBE_GOOD,     /* it works */
        PROBE_DEGRADED, /* it works in part; `consequence` says what is lost */
        PROBE_MISSING,  /* it does not work */
};

struct probe {
        const char *name; /* static */
        enum probe_state state;
        bool essential;    /* without it `paddock run` cannot start anything */
        char *found;       /* what the trial found; may hold names as the system has them, so escape it to show it */
        char *consequence; /* what paddock cannot give because of it; NULL when good */
        char *remedy;      /* what to do about it, names in it fit to be shown; NULL when good or nothing can be done */
};

/* Tries everything. Takes a small part of a second, and at most one when something hangs. Fills `probes` with fresh
 * memory and returns how many there are. Starts processes and waits for them: the caller must have a single thread. */
size_t probe_all(struct probe **probes);
void probe_free(struct probe *probes, size_t count);

/* Creating or setting up the namespaces of a run failed with `code` (a positive errno): finds out who forbids it and
 * records that, with the remedy, in `err`. To be called outside the new namespaces: inside, the facts are theirs. May
 * start a short-lived process. Returns -code. */
int probe_explain_namespaces(struct error *err, int code);

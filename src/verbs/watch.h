// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Limits that nothing enforces, watched by processes beside the run: the size of a layer, and memory. The former is
 * only told, on standard error: no system gives an ordinary user a quota for a directory. When the latter is passed,
 * what the environment says under `over` is done.
 */
#pragma once

#include "base/error.h"
#include "model/environment.h"

struct watch_size {
        int end, pid, memory_pid;
};
#define WATCH_NONE ((struct watch_size){.end = -1})

/* Begins to watch the layer of the environment whose directory is open (-1: it has no limit), and the memory of the
 * programs that this process is going to run (0: not). */
int watch_start(struct watch_size *watch, int directory, uint64_t memory, const char *name,
                const struct environment *e, struct error *err);
/* Measures a last time, and ends. */
void watch_end(struct watch_size *watch);

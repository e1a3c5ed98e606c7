// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The limit of a layer's size, watched by a process beside the run, which tells on standard error when it is passed. No
 * system gives an ordinary user a quota for a directory, so it cannot be enforced, and nothing says that it is.
 */
#pragma once

#include "base/error.h"
#include "model/environment.h"

struct watch_size {
        int end, pid;
};
#define WATCH_NONE ((struct watch_size){.end = -1})

/* Begins to watch the layer of the environment whose directory is open. */
int watch_start(struct watch_size *watch, int directory, const char *name, const struct environment *e,
                struct error *err);
/* Measures a last time, and ends. */
void watch_end(struct watch_size *watch);

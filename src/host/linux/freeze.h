// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Every program of an environment stopped for a moment, without a cgroup: so that what is on disk holds still.
 *
 * Theory of operation. SIGSTOP reaches every process below the environment's first ones, whatever its ids inside: who
 * made a user namespace may signal all in it. Whoever is not stopped yet may make another, so the tree is gone through
 * until two times in a row nothing new is found in it and no thread of it runs. The first processes are stopped before
 * all others: what they would tell about their children's stopping, nobody is meant to hear. To go on, children come
 * before their parents, so that no shell inside finds a job stopped; and what was stopped before stays so.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct freeze {
        struct freeze_process {
                int pid, fd; /* pidfd: the number may be another's later */
                bool was;    /* stopped before */
        } *items;            /* parents before their children */
        size_t count, capacity;
        unsigned char *seen; /* a bit for each pid */
};

#define FREEZE_PATIENCE 5 /* seconds for a process that does not stop, as one that waits for a disk */

/* Stops all below the `count` processes `inits`, and those. On failure all go on. */
int freeze_stop(struct freeze *f, const int *inits, size_t count, struct error *err);
/* Lets those go on that ran. */
void freeze_continue(struct freeze *f);

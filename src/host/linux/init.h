// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The environment's first process: it builds the view, starts the program, reaps what dies, and ends when the program ends.
 *
 *      paddock (outside) -- clone: user, mount, pid --> init -- clone: user, mount, ipc, uts --> the program
 *
 * Two levels: the mounts of the view belong to init's namespaces. The program's mount namespace is a copy below another
 * user namespace, in which the kernel has locked them all together. Init keeps its power over the outer level; the program
 * cannot reach it: it has no capability in init's user namespace, so ptrace and /proc/1 are refused.
 */
#pragma once

#include "host/host.h"
#include "host/linux/inherit.h"
#include "host/linux/superuser.h"

#include <signal.h>

struct birth {
        const struct launch *launch;
        const struct inherit *inherit;
        struct superuser *superuser; /* NULL unless real root */
        sigset_t signals;            /* mask that the program starts with */
        unsigned uid, gid, umask;
        int control;                 /* to the server of the mirror, or -1 */
        int socket;                  /* to the paddock outside */
        int parent;                  /* of a temporary environment's directory, for an ordinary user; -1: none */
        int *status;                 /* shared with it: how the program ended, -1 before */
        bool terminal;               /* the program gets a terminal of its own */
        bool foreground;             /* and has it from the start */
        bool joining;                /* the view is a living one: only the process list is new */
};

/* Are more ids mapped than the user's own one? Then init maps the program's. */
static inline bool birth_has_ids(const struct birth *birth)
{
        return birth->superuser || birth->launch->plan->root || birth->launch->system->ids_direct;
}

/* Never returns. */
_Noreturn void init_main(struct birth *birth);

/* program.c: the last steps, in the program's process. Never returns. */
_Noreturn void program_main(struct birth *birth, int terminal, int mapped);

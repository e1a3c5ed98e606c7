// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a host offers to the rooms above it. host/linux answers it here; host/hurd can stand beside it. Nothing in this
 * header names anything of one kernel.
 */
#pragma once

#include "base/error.h"
#include "plan/plan.h"
#include "plan/system.h"

#include <stdbool.h>

#define cleanup_system __attribute__((cleanup(host_survey_clear)))

/* Looks at the main system: identity, mounts, working directory. `store` is the state directory of paddock
 * (may be NULL) and `layer` where the environment's own state will lie (NULL: in memory). */
int host_survey(struct system *system, const char *store, const char *layer, struct error *err);
void host_survey_clear(struct system *system);

struct launch {
        const struct plan *plan;
        char **argv;             /* argv[0] is looked up in PATH inside; never NULL */
        const char *name;        /* of the environment, or NULL; told to the program as $PADDOCK_NAME */
        int state;               /* directory of the environment (slots, inner), or -1: the layer is in memory */
        int alive;               /* descriptor that init holds until it dies, or -1 */
        bool scratch;            /* the directory `state` vanishes with the environment */
        const char *scratch_name; /* its name in its parent */
        const struct system *system; /* what the plan was made on */
        int join_user, join_mount; /* namespaces of a living run of the same environment, or -1: the view is made anew */
        void (*ready)(void *context, int init); /* the view stands; `init` is its first process. May be NULL */
        void (*over)(void *context); /* no process of the environment runs any more but its init, which is ending and takes the view
                                      * down meanwhile. Not called when init was killed. May be NULL */
        void *context; /* of both */
};

struct outcome {
        int status;     /* on success: how the program ended, as waitpid() has it */
        bool by_key;    /* a key ended it that only its own terminal saw, and that was meant for the whole job */
        int exit_code;  /* on failure: what paddock exits with: 125, 126, 127 */
};

/* Carries out the plan and runs the program in it until it ends. */
int host_run(const struct launch *launch, struct outcome *outcome, struct error *err);

/* Can a layer lie in the open directory? 0, or why not. `try` allows to leave a mark on it (an extended attribute), which makes
 * the answer sure. */
int host_layer_fits(int directory, bool try, struct error *err);

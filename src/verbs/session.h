// SPDX-License-Identifier: GPL-3.0-or-later
/* The state of one run: the directory its layer lies in, its locks, and the living run that it may join. */
#pragma once

#include "host/host.h"
#include "model/store.h"

#include <time.h>

struct session {
        struct store store;
        const char *name;    /* of the environment; NULL: scratch */
        char *scratch;       /* name of the scratch directory */
        int directory;       /* of the environment, -1: in memory */
        int setup, alive;    /* locks */
        int image;           /* what keeps the image that it lies over from being removed, or -1 */
        int join_user, join_mount, join_control;
        bool keep;           /* it is being started, and will have a warden */
        bool started;        /* the living run has one: it is asked, instead of joining */
        struct slots slots;
        const struct system *system; /* to be recorded as the base of a fresh layer; or NULL */
        const struct plan *plan;
        char *record;        /* runs/PID, written when the view stands */
        struct timespec began;
};

#define SESSION_INIT                                                                                                   \
        ((struct session){.store = {.fd = -1, .remove = host_remove_tree},                                             \
                          .directory = -1,                                                                             \
                          .setup = -1,                                                                                 \
                          .alive = -1,                                                                                 \
                          .image = -1,                                                                                 \
                          .join_user = -1,                                                                             \
                          .join_mount = -1,                                                                            \
                          .join_control = -1})

/* The state of a run without a name, made only when its plan has a layer. Where no layer can be kept on disk it is in
 * memory, and `why` (fresh memory) says why; `memory` asks for that. */
int session_scratch(struct session *s, bool memory, char **why, struct error *err);

/* Would that layer be in memory? Touches nothing. NULL: no; else why, fresh memory. */
char *session_scratch_in_memory(bool memory);

/* The state of a run of the environment `name`, whose store is open. Takes the set-up lock. `rebase`: its layer is
 * removed first, and it says so. */
int session_named(struct session *s, const char *name, bool rebase, struct error *err);

/* Holds the image that the environment lies over. */
int session_image(struct session *s, const char *image, struct error *err);

/* After planning: lays the frozen layers of the environment between its layer and what that covers. */
int session_chain(struct session *s, struct plan *plan, struct error *err);

/* Then: finds a living run whose view is used, if there is one. EBUSY when its view differs. */
int session_join(struct session *s, const struct plan *plan, struct error *err);

/* Before it runs: a fresh layer is to be recorded with its base; of an older one it is said what moved on below it. */
void session_base(struct session *s, bool had_layer, const struct system *system);

/* The view stands (host_run()'s `ready`): completes slots, records the run, lets others start. `context` is the
 * session. */
void session_ready(void *context, int init, int control);

/* Nothing writes in the layer any more (host_run()'s `over`): removes what a scratch run leaves. `context` is the
 * session. */
void session_over(void *context);

/* The run is over. Removes what a scratch run leaves. */
int session_end(struct session *s, struct error *err);

/* The first processes of all living runs of the environment whose directory is open, at most `room`. Returns how
 * many. */
size_t session_inits(int directory, int *pids, size_t room);

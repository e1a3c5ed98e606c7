// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Where the view is built: private to host/linux.
 *
 * The process that builds it (later the environment's init) is alone in a user and mount namespace of its own, in which
 * it has all capabilities. Its working directory is the environment's directory (or, for real root, the stage that root
 * prepared): a descriptor from outside would belong to a mount of the outer namespace, which the kernel refuses to
 * build on, while the working directory is carried over into the copy.
 */
#pragma once

#include "host/host.h"
#include "host/linux/lister.h"

#include <stdbool.h>

/* A file system of the main system that real root has staged: see superuser.c. */
struct staged {
        char *path;   /* where it is mounted in the main system */
        char *stage;  /* where it stands now, alone, with its ids mapped */
        bool mapped;  /* its ids are the environment's */
        bool frozen;  /* no file system, but a part of the layer that is frozen: it has the environment's ids on disk */
};

struct workplace {
        const struct launch *launch;
        const struct plan *plan;
        int layer;   /* the environment's directory on a writable mount; in memory: the stage */
        int stage;   /* a small tmpfs for what lives only as long as the view */
        int kept_stage; /* the same when the view stands and may change later, with `state0`, `mirror0` and `outer0`; or
                           -1 */
        int outer;   /* what sources are looked up in; -1: the root of this process */
        size_t numbering; /* what directories of the stage are numbered from: they must not be those of a layer that
                             lives */
        int root;    /* the root of the view */
        int mirror;  /* the root of the mirror, or -1 */
        struct lister lister;
        int control; /* to its server, or -1 */
        int ids;     /* a word comes here when ids are mapped; -1: they are */
        const char *devices;       /* a directory with the main system's device nodes, and */
        int devices_fd;            /* the same, opened before anything covers it */
        int fuse;                  /* of an environment that is kept: its FUSE device (O_PATH), or -1 */
        const char *stage_point;   /* where the stage is attached until the view covers it */
        const struct staged *staged; /* real root: its file systems, else NULL */
        size_t staged_count;
};

#define WORKPLACE_INIT                                                                                                 \
        ((struct workplace){.layer = -1,                                                                               \
                            .stage = -1,                                                                               \
                            .kept_stage = -1,                                                                          \
                            .outer = -1,                                                                               \
                            .root = -1,                                                                                \
                            .mirror = -1,                                                                              \
                            .lister = LISTER_NONE,                                                                     \
                            .control = -1,                                                                             \
                            .ids = -1,                                                                                 \
                            .devices = "/dev",                                                                         \
                            .devices_fd = -1,                                                                          \
                            .fuse = -1,                                                                                \
                            .stage_point = "/dev"})

/* Makes the whole view. Afterwards the process's root is the environment's. */
int view_build(struct workplace *w, struct error *err);

struct sources;
/* The name `path` in the view that is being built, which must be there by now. Returns a descriptor. */
int view_target(const struct workplace *w, const char *path, struct error *err);
/* Carries out operation `number` of w->plan on `target`. */
int view_operation(struct workplace *w, size_t number, const struct sources *o, int target, struct error *err);
/* Is `op`, for which view_target() failed with `code`, not needed after all? */
bool view_nobody_gets_there(const struct plan_op *op, int code);

/* What one operation needs from the main system. */
struct piece {
        int tree;   /* a detached mount */
        char *rest; /* where it goes, relative to the operation's path ("" or "/x") */
};
struct sources {
        int *lower;
        size_t lower_count;
        struct piece *pieces;
        size_t piece_count, piece_capacity;
};

/* source.c: opens what `op` shows of the main system. */
int sources_of(const struct workplace *w, const struct plan_op *op, struct sources *o, struct error *err);
/* Closes and frees an array of `count`. */
void sources_clear(struct sources *opened, size_t count);

/* copy.c: copies the regular file that `from` (O_PATH) is open on to `name` in `directory`, with mode, times and, as
 * far as it may, owner; reflinked where the file systems can. */
int copy_into_layer(int from, int directory, const char *name, struct error *err);
/* Copies the files and links (not the directories) of `from` into `to`. What may not be read stays away. */
int copy_entries(int from, int to, struct error *err);

/* overlay.c: mounts an overlay on the directory `target`. `lower` are descriptors, topmost first; `upper` and `work`
 * are -1 for a read-only one. */
int overlay_mount(int target, const int *lower, size_t lower_count, int upper, int work, bool is_volatile,
                  const char *path, struct error *err);

/* devices.c: makes a minimal /dev in the directory `dev`, the root of a mount of its own, with the nodes of the
 * directory `from`; with that of FUSE if `fuse`. */
int devices_make(int dev, int from, bool fuse, struct error *err);
/* Mounts terminals of its own on the directory `pts`. */
int devices_terminals(int pts, bool has_ids, struct error *err);

/* stage.c: mounts the stage, and names made in a directory of the stage. Returns a descriptor of
 * stage/<prefix><number>. */
int stage_open(struct workplace *w, struct error *err);
int stage_directory(struct workplace *w, const char *prefix, size_t number, unsigned mode, struct error *err);
int stage_names(int directory, const struct plan_name *names, size_t count, struct error *err);

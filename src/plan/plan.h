// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The plan: a typed list of what will be done to make an environment. The resolver makes it (plan/resolve.c), people
 * and programs read it (`--explain`), a host carries it out (host/linux/view.c). Beside each kind stands what GNU/Hurd
 * would do; doc/architecture.md has the whole table.
 */
#pragma once

#include "base/error.h"
#include "model/environment.h"
#include "model/store.h"
#include "plan/system.h"

#include <stdbool.h>
#include <stddef.h>

enum plan_kind {
        PLAN_ROOT, /* the main system's tree, read-only (Hurd: a netfs translator on "/" that answers with the real
                      ports and refuses writes) */
        PLAN_SHARED_ROOT, /* the main system's tree, as writable as it is outside (Hurd: no translator at all) */
        PLAN_BIND, /* `source` appears at `path`, read-only unless `writable` (remap) */
        PLAN_LAYER, /* `sources` united at `path`, changes go to `slot`, or read-only without one (netfs union with a
                       writable member) */
        PLAN_BLANK, /* a directory or file of the layer at `path` (a plain node of the layer's file system) */
        PLAN_SKELETON, /* a small directory made only for this run, with `names` in it (tmpfs translator) */
        PLAN_SEAL, /* an empty thing without permissions covers `path` (null translator) */
        PLAN_PROC, /* the environment's own process list (procfs translator on its own task namespace) */
        PLAN_DEVICES, /* a minimal /dev (its own device nodes, settrans) */
        PLAN_EXPOSE, /* what the layer of `path` consists of, read-only, below STACK_PLACE, for environments inside this
                        one (not needed: translators stack without a limit) */
        PLAN_MIRROR, /* the main system with its ids as the environment's, as a source for the operations that are
                        `mirrored`; whiteouts among `names` are not shown, directories are shown empty (a netfs
                        translator that translates owners) */
        PLAN_INNER, /* where paddock keeps its state when used inside; hides the outer one */
};

enum name_kind {
        NAME_DIRECTORY, /* a mount point for a directory, or a plain directory */
        NAME_FILE,      /* a mount point for a file */
        NAME_WHITEOUT,  /* the name is not there */
        NAME_SYMLINK,
};

/* A name that a LAYER adds above its sources, or that a SKELETON or BLANK contains. */
struct plan_name {
        enum name_kind kind;
        char *path; /* relative to the operation's path */
        unsigned mode;
        char *target; /* NAME_SYMLINK */
};

struct plan_op {
        enum plan_kind kind;
        char *path;
        char **sources; /* BIND: one; LAYER: the lower directories, first wins; BLANK: what it is filled from, once */
        size_t source_count;
        size_t frozen; /* LAYER: so many of the first sources are older parts of the layer itself */
        struct plan_name *names;
        size_t name_count, name_capacity;
        int slot; /* of the layer; -1: none */
        unsigned mode;
        bool writable;  /* BIND: writes go through */
        bool recursive; /* BIND: with the mounts below it */
        bool is_file;   /* BIND, BLANK, SEAL: not a directory */
        bool mirrored; /* its sources are taken from the PLAN_MIRROR, which stands first, not from the main system
                          itself */
        bool asked;     /* stands for a rule that the user gave */
        bool listed;    /* stands for an entry of a directory that a layer cannot cover as a whole, or a part of the layer */
        bool lists;     /* that directory: its names are what was in it */
        char *why;      /* for people: where it comes from, and what it does not give; or NULL */
};

struct plan {
        struct plan_op *ops; /* parents before what is below them */
        size_t count, capacity;
        bool new_root;  /* the operation on "/" makes a root of its own; else the view is laid over the main system */
        char *cwd;      /* where the program starts, inside; NULL: the outer name is not there inside */
        bool own_network;
        bool uplink;    /* and that reaches outside, with ports published */
        bool served;    /* what leads out of it is put to a server */
        bool session;   /* abstract sockets of the main system stay reachable */
        struct publish_list publish;
        char *hostname;
        bool superuser; /* ids are a range of unused ones */
        bool root;      /* the program is root inside */
        char *ids;      /* what ids there are inside, for people; NULL: the user's own */
        bool in_memory; /* the layer is a memory file system that ends with the environment */
        struct slots slots;
        char **notes; /* what the reader of --explain should know */
        size_t note_count, note_capacity;
};

#define cleanup_plan __attribute__((cleanup(plan_clear)))

/* Makes the plan for `e` on `system`. `slots` are those that the environment's layer has already (taken over). Pure but
 * for looking. EINVAL and the like describe what is wrong with the rules. */
int plan_resolve(struct plan *plan, const struct environment *e, const struct system *system, struct slots *slots,
                 struct error *err);

/* The plan as text for people, and as one word for an operation's kind. */
char *plan_explain(const struct plan *plan, const struct environment *e);
const char *plan_word(enum plan_kind kind);

/* A fingerprint of everything in the plan that a second run of the same name must agree with: what follows from
 * rules, not what happened to be in a directory when it was listed. */
unsigned long plan_digest(const struct plan *plan);

/* The operation that makes the mirror, or NULL. */
const struct plan_op *plan_mirror(const struct plan *plan);

/* Does it need the environment's directory: has it a slot? */
bool plan_has_layer(const struct plan *plan);

void plan_note(struct plan *plan, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void plan_clear(struct plan *plan);

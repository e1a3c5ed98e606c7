// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Where environments are kept.
 *
 *      $XDG_STATE_HOME/paddock/        0700, the owner's alone; never visible inside an environment
 *        version                       "1\n"; a higher number was written by a newer paddock and is refused
 *        env/NAME/                     a named environment
 *          environment                 its record (model/record.c)
 *          layer/N/                    a slot of its layer: `path` says what it covers, beside it `upper`+`work` (the
 *                                      changes to a directory), `content` (a directory or file of its own), and `cover`
 *                                      (what lies below it, model/cover.h)
 *          commit/ known               a commit at work, and what commits have made (layer/journal.h, layer/known.h)
 *          inner/                      what paddock keeps when it is used inside the environment
 *          base                        what the layer was made over (model/stamp.h)
 *          control warden.lock log log.1   of the warden, while it is started, and of its programs (doc/control.md)
 *          grants audit.jsonl sockets/  what is granted at later starts, what became of grants (doc/grants.md); names of
 *                                      sockets while they are being granted
 *          bases                       digests of what its changes were made from (layer/bases.h); only after an import
 *          texts/                      texts that changed files were made from (layer/texts.h)
 *          temporary                   made by `run --grant`, which holds it locked: removed when nobody does
 *          unreadable                  names that root inside was shown without their content
 *          setup.lock alive.lock runs/ see "two runs of one name" below
 *          snapshot/TAG layer/chain    frozen layers below (model/chain.h), which are in
 *        frozen/ID/layer/              never written, held by any number of chains
 *        tmp/XXXXXX/                   the same for an environment without a name; gone when it ends
 *
 * Two runs of one name. Every run holds a shared lock on alive.lock for as long as any process of it lives (its init
 * inherits the descriptor, and dies last). Whoever starts takes setup.lock first; when alive.lock can be locked
 * exclusively nobody lives and the layer may be mounted, otherwise the mounts of a living run are used: one overlay is
 * never mounted twice on one upper directory.
 */
#pragma once

#include "base/error.h"
#include "base/tree.h"
#include "model/environment.h"

#include <stddef.h>

struct store {
        /* Removes a tree below an open directory: tree_remove(), unless a host knows how to remove what it alone
         * can. */
        int (*remove)(int dir, const char *name, struct error *err);
        int fd;     /* the state directory, -1 when closed */
        char *path; /* its name, for messages and so that views can hide it */
};

#define STORE_CLOSED ((struct store){.fd = -1, .remove = tree_remove})
#define cleanup_store __attribute__((cleanup(store_close)))

/* The state directory's name from the process's surroundings, without touching it: $XDG_STATE_HOME/paddock or
 * $HOME/.local/state/paddock; NULL when neither is set to an absolute name. Fresh memory. */
char *store_path(void);

/* Opens the state directory (`s` is STORE_CLOSED, with a remover of the caller's perhaps), making it when it is not
 * there. Refuses one that belongs to somebody else or was written by a newer version. */
int store_open(struct store *s, struct error *err);
/* The same, but makes nothing: -ENOENT when there is none. */
int store_open_existing(struct store *s, struct error *err);
void store_close(struct store *s);

/* Makes env/NAME from `e` (which must have a name). EEXIST when there is one. The directory appears complete or not at
 * all. */
int store_create(struct store *s, const struct environment *e, struct error *err);

/* The same, with what `prepare` puts into the directory before it appears. */
int store_create_with(struct store *s, const struct environment *e,
                      int (*prepare)(void *context, int directory, struct error *err), void *context,
                      struct error *err);

/* Makes env/NAME of the directory `from` in `dir`, which is complete, by one rename. EEXIST when there is one. */
int store_adopt(struct store *s, int dir, const char *from, const char *name, struct error *err);
/* Is env/NAME there? Then EEXIST, with a remedy. */
int store_is_free(struct store *s, const char *name, struct error *err);

/* Replaces env/NAME's record, at once. The caller holds setup.lock. */
int store_change(struct store *s, const struct environment *e, struct error *err);

/* Reads env/NAME's record. ENOENT, with the nearest name, when there is none. */
int store_load(struct store *s, const char *name, struct environment *e, struct error *err);

/* Opens the directory of env/NAME (O_DIRECTORY). Returns the descriptor. */
int store_open_environment(struct store *s, const char *name, struct error *err);

/* The names, sorted. Returns their number, or a negative errno. */
int store_list(struct store *s, char ***names, struct error *err);
void store_list_free(char **names, int count);

/* Is a process of env/NAME alive? 1, 0, or a negative errno. */
int store_is_running(struct store *s, const char *name, struct error *err);

/* Has env/NAME a warden? 1, 0, or a negative errno. */
int store_is_started(struct store *s, const char *name, struct error *err);

/* "started" (it has a warden), "running" (by `paddock run`), "stopped"; NULL with `err` set. */
const char *store_state(struct store *s, const char *name, struct error *err);

/* Keeps env/NAME from being started until both descriptors are closed. EBUSY, with `remedy` as the remedy, when it
 * runs. */
int store_hold(struct store *s, const char *name, int locks[2], const char *remedy, struct error *err);

/* Keeps the layer of env/NAME, which runs, from being taken away until the descriptor *lock is closed. -EAGAIN: it does
 * not run any more, and somebody works on it. */
int store_share(struct store *s, const char *name, int *lock, struct error *err);

/* Removes env/NAME and its layer. EBUSY while it runs. What was begun and cut off is finished by store_sweep(). */
int store_remove(struct store *s, const char *name, struct error *err);

/* Removes the layer of an environment (its open directory) with what is known of its base; the environment stays. The
 * caller sees to it that nothing of it runs. */
int store_discard_layer(struct store *s, int environment, struct error *err);

/* A directory for an environment without a name, locked alive. Fills `name` (fresh memory) and returns its descriptor;
 * `alive` is the descriptor that holds the lock. */
int store_scratch(struct store *s, char **name, int *alive, struct error *err);

/* Removes a scratch directory made by store_scratch(). */
int store_scratch_remove(struct store *s, const char *name, struct error *err);

/* Removes what killed runs left in tmp/: looks at a handful of entries and takes those that nobody holds. Silent. */
void store_sweep(struct store *s);

/* A slot of a layer. */
struct slot {
        unsigned number;
        bool blank; /* `content` of its own instead of changes to a directory */
        bool idle;  /* not shown where no rule asks for it */
        char *path; /* what it covers inside */
};
struct slots {
        struct slot *slots;
        size_t count, capacity;
};

/* Reads the slots below `environment` (a directory of env/ or tmp/). None is fine. */
int slots_load(int environment, struct slots *slots, struct error *err);

/* The slot for `path`, appended to `slots` when it is new. Nothing is written. Returns the number. */
unsigned slots_find(struct slots *slots, const char *path, bool blank);

/* Makes the directories of a slot that are not there. Returns 1 when the slot was not complete before, 0 when it
 * was. */
int slots_make(int environment, const struct slot *slot, struct error *err);

/* Writes layer/N/path, which makes the slot complete and lasting: only when everything else in it is there. */
int slots_complete(int environment, const struct slot *slot, struct error *err);

void slots_clear(struct slots *slots);

/* Says what to do about it when something of the state could not be written because its file system is full. Returns
 * what it was given. */
int store_full(int result, struct error *err);

// SPDX-License-Identifier: GPL-3.0-or-later
/* What the verbs on a layer have in common: the environment and paths that are named, and a change as a line for
 * people. */
#pragma once

#include "base/text.h"
#include "host/host.h"
#include "layer/layer.h"
#include "model/store.h"

#include <argp.h>

struct changes {
        struct store store;
        const char *name;
        int directory;        /* of the environment */
        struct layer layer;
        char **paths;         /* as the environment sees them: canonical; NULL: all */
        size_t path_count, path_capacity;
        unsigned long *found; /* of each path */
        bool image;           /* it lies over an image, whose files have its ids */
        bool root;            /* it has ids of its own, which the user gave it: walks go through changes_inside() */
        int owners;           /* in such a walk */
        bool trouble;         /* something could not be looked at; it was named */
};

#define CHANGES_INIT ((struct changes){.store = {.fd = -1, .remove = host_remove_tree}, .directory = -1})
#define cleanup_changes __attribute__((cleanup(changes_close)))

/* Takes one of the arguments NAME [PATH...]. ARGP_ERR_UNKNOWN: it is none. */
error_t changes_argument(int key, char *arg, struct argp_state *state, const char **name, char ***paths, int *count);
/* Opens the environment `name`. */
int changes_open(struct changes *c, const char *name, struct error *err);
/* Opens its layer once more: what others did to it before it was locked is not to be seen half. */
int changes_reopen(struct changes *c, struct error *err);
/* Adds a path as the user wrote it. */
int changes_add_path(struct changes *c, const char *path, struct error *err);
/* Opens the environment, and adds all paths. */
int changes_open_paths(struct changes *c, const char *name, char **paths, int count, struct error *err);
/* A verb as a whole: reads the arguments into `request`, lets `act` do it, prints its error. `act` returns an exit
 * status or a negative errno. Returns an exit status. */
int changes_verb(int argc, char **argv, const struct argp *argp, void *request,
                 int (*act)(void *request, struct changes *c, struct error *err));
/* A walk over the chosen paths that tells `visit`; trouble goes to standard error. `times`: of what a differing time
 * counts. */
#define CHANGES_TIMES 1u
#define CHANGES_DIRECTORY_TIMES 2u
#define CHANGES_PROOFS 4u /* and whether what is outside is what was covered */
int changes_walk(struct changes *c, unsigned times, layer_visit visit, void *context, struct error *err);
/* Has `work`, which walks and writes nothing outside, done where everything in the layer can be read: here or, when the
 * environment has ids of its own, in another process. Returns what it returned (0..255), or a negative errno. */
int changes_inside(struct changes *c, int (*work)(void *context), void *context, struct error *err);
/* After a walk: names each path below which there was no change. Returns how many. */
size_t changes_name_unfound(const struct changes *c);
void changes_close(struct changes *c);

/* "M  /path  (content, mode 644 -> 755)", without a newline. */
void changes_line(struct text *t, const struct change *c);
char changes_letter(const struct change *c);
const char *changes_type(const struct meta *m);

/* 12.3 KiB */
void changes_size(struct text *t, uint64_t bytes);

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Images: root file systems that environments begin from.
 *
 *      $XDG_STATE_HOME/paddock/image/NAME/
 *        root/       the tree, its files owned by the ids that environments of root's have
 *        record      "paddock-image 1", then a line a fact: KEY<TAB>VALUE, escaped
 *        manifest    a line for each file of the tree (image/manifest.h); its digest stands in the record
 *        lock        shared by whoever uses the tree, exclusive for who removes it
 *
 * An image is never written again. It appears by one rename of .NAME.PID, and disappears by one; what a killed
 * paddock left under such a name is not locked, and swept by the next that makes or lists one.
 */
#pragma once

#include "model/store.h"

#include <stdbool.h>
#include <stdint.h>

struct image {
        char *name;
        char *source;       /* what it was made from, for people */
        char *architecture; /* as uname -m has it, or NULL */
        char *digest;       /* SHA-256 of the manifest, hexadecimal */
        uint64_t bytes, files;
        long long made;     /* seconds since 1970 */
};
#define cleanup_image __attribute__((cleanup(image_clear)))

/* 0 when `name` may name an image, else an error that says what one may be called: as an environment, but not as
 * the other roots there are ("host", "empty"). */
int image_name_check(const char *name, struct error *err);

/* Is there one of this name? */
bool image_exists(const char *name);

/* The name of its tree: fresh memory. `state` is the state directory. */
char *image_root(const char *state, const char *name);

/* Opens the directory of an image. -ENOENT, with the nearest name. */
int image_open(struct store *s, const char *name, struct error *err);

/* Holds the image (shared, or alone: -EBUSY when it is in use) until the descriptor that it returns is closed. */
int image_hold(struct store *s, const char *name, bool alone, struct error *err);

/* Reads its record. */
int image_load(struct store *s, const char *name, struct image *image, struct error *err);
/* The record's text, fresh memory. */
char *image_to_record(const struct image *image);
int image_from_record(struct image *image, char *text, struct error *err);

/* The names, sorted; as store_list(). */
int image_list(struct store *s, char ***names, struct error *err);

/* A directory for a fresh one, with an empty root/, locked. Returns its descriptor; *name is what it is called
 * until it is complete. */
int image_begin(struct store *s, const char *name, char **fresh, int *lock, struct error *err);
/* Gives it its record and its name. */
int image_complete(struct store *s, int directory, const char *fresh, const struct image *image, struct error *err);
/* Removes it, or what was begun under the name `fresh`. */
int image_abandon(struct store *s, const char *fresh, struct error *err);
int image_remove(struct store *s, const char *name, struct error *err);

/* Removes what killed ones have left. */
void image_sweep(struct store *s);

void image_clear(struct image *image);

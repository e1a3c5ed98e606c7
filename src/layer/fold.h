// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Names that fall together: a layer tells upper from lower case, and where its changes go may not (ext4 with
 * casefold, FAT, NTFS, shares). There one of two such names would overwrite the other, so both are told and nothing
 * is done.
 *
 * What counts as equal is Unicode's simple mapping of single characters; different encodings of one character are not
 * seen.
 */
#pragma once

#include "layer/layer.h"

struct folds {
        struct folds_entry {
                char *key, *path;
        } *entries; /* an open hash table, a power of two */
        size_t count, capacity;
        char *above;  /* the directory outside that was looked at last, and */
        int fd;       /* open, when it is there; */
        bool opened, folding;
};

/* Takes `path` down. Returns one that falls together with it and was taken down before, or NULL. */
const char *folds_take(struct folds *f, const char *path);
/* Why a change cannot go to `target` outside, or NULL: fresh memory. */
char *folds_refuse(struct folds *f, const struct change *change, const char *target);
void folds_clear(struct folds *f);

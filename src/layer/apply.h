// SPDX-License-Identifier: GPL-3.0-or-later
/* The state of a commit that is being carried out: private to apply.c. */
#pragma once

#include "layer/commit.h"

/* A new directory that is being filled. */
struct fresh {
        struct item item;
        int fd, parent; /* parent: only of the topmost, which has */
        char *temp;     /* a name of paddock's, and */
        char *name;     /* gets its own when it is full */
};

/* What is ready but for its name. */
struct waiting {
        struct item item;
        int parent;
        int fd;     /* a file without a name; -1: it stands at */
        char *temp; /* a name of paddock's */
        char *name;
        bool placed; /* nothing stands at temp any more */
};

struct apply {
        struct commit *commit;
        bool again; /* a commit that was cut off */
        unsigned long number; /* of the item, for names */
        char *parent_path; /* outside, of */
        int parent;
        char *own_path;    /* inside, of */
        int own;
        const struct layer_slot *own_slot;
        struct fresh *fresh;
        size_t fresh_count, fresh_capacity;
        struct waiting *waiting;
        size_t waiting_count, waiting_capacity, waiting_limit;
        int sync_failed;
};

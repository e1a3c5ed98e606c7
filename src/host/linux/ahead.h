// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Lists what a walk through a tree comes to next. What is found is of no interest: the kernel learns names by it.
 *
 * Every directory is listed before those in it, as find(1) and git do. Directories of another file system are left
 * alone: the mirror tells them by the upper 16 bits of their numbers, and nobody asked for them, who may be far away or
 * hang.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ahead {
        int root;     /* the tree */
        bool by_name; /* directories side by side are gone through by name, and the first one itself too; else as they
                         are listed */
        long names;   /* at most so many, and those of the last directory */
        int up;       /* so many directories above the first one */
        bool (*go_on)(struct ahead *a); /* asked before each directory */
        void *context;
        char *room;   /* its own, as all below */
        const char *above;
        char *caught;
        uint64_t device;
};

/* Lists what comes after the directory `path` of the tree. */
void ahead_walk(struct ahead *a, const char *path);
/* Called from go_on(): the walker had to list the directory `path` itself. Returns false when that is elsewhere; else
 * the walk goes on behind it, for so many names. */
bool ahead_catch_up(struct ahead *a, const char *path, long names);

// SPDX-License-Identifier: GPL-3.0-or-later
/* Cgroups of an environment's own, and the tree that the init of a subhurd may govern: see cgrouptree.c. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct cgrouptree {
        int init;      /* cgroup.procs of where init and its helpers are; 0: they stay where they are */
        int programs;  /* that of where programs are */
        int top;       /* directory of the subhurd's own tree; 0: it has none */
        int top_enter; /* its cgroup.procs */
};

/* What is below the directory `at`, whose limits hold for all of it. `whole`: with a tree for a subhurd. */
bool cgrouptree_make(int at, bool whole);

/* Outside, before init is made. `path` is what cgrouptree_make() was given, by name. */
int cgrouptree_open(struct cgrouptree *t, const char *path, struct error *err);
/* Outside, by real root: the tree belongs to the outer id that is root inside. */
int cgrouptree_give(const struct cgrouptree *t, unsigned owner, struct error *err);
void cgrouptree_close(struct cgrouptree *t);

/* In init: it and all that comes of it are in the environment's cgroup. */
int cgrouptree_enter(const struct cgrouptree *t, struct error *err);
/* In a child of init's that becomes a program. */
int cgrouptree_leave_init(const struct cgrouptree *t, struct error *err);

/* Before a subhurd's init is made: what an earlier one left is removed. */
void cgrouptree_clean(const struct cgrouptree *t);
/* In the subhurd's first process, root of its user namespace: it is alone in its tree, and sees no other. */
int cgrouptree_become_top(const struct cgrouptree *t);
/* There as well, in its mount namespace: /sys with the tree. Returns 0, or a negative errno. */
int cgrouptree_show(const struct cgrouptree *t);

/* Removes a cgroup below `parent` with those below it. False: somebody is in it. */
bool cgrouptree_remove(int parent, const char *name);

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The floor: the inner namespaces that all programs of a started environment share.
 *
 * Theory of operation. The view belongs to init's namespaces; programs live in user, mount, ipc and host name
 * namespaces (and that of the network, when it is their own) below. `run` makes those for its one program. Here init
 * makes them once, with a child that ends as soon as init holds descriptors of them, and every program is a fresh
 * child of init, or of an attendant of init's, that enters them: it never had anything of outside, and sees what all
 * others see.
 *
 * The mounts of the view are shared (MS_SHARED) when the floor is made, and the floor's are slaves of them, locked,
 * because the user namespaces differ. So what init mounts and unmounts later appears and disappears on the floor. Of
 * a tree of mounts that arrives so, all are locked but the uppermost: root on the floor can take that away, and sees
 * what was there before (revise.c).
 */
#pragma once

#include "host/linux/init.h"

enum { FLOOR_USER, FLOOR_IPC, FLOOR_UTS, FLOOR_NET, FLOOR_MOUNT, FLOOR_COUNT };

struct floor {
        int fd[FLOOR_COUNT]; /* of each namespace, -1: there is none of its own */
};
#define FLOOR_NONE ((struct floor){.fd = {-1, -1, -1, -1, -1}})

/* In init, after the view stands. */
int floor_make(struct birth *birth, struct floor *floor, struct error *err);

/* In a process that will be a program: it must be undumpable. Afterwards it has all capabilities there, as a fresh
 * user namespace gives them, and its root and working directory are the view's. */
int floor_enter(const struct floor *floor, struct error *err);

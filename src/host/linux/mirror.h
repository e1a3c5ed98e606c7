// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The main system as root inside sees it: PLAN_MIRROR, by the server paddock-files-mirror (servers/files-mirror) over
 * FUSE.
 *
 *      paddock (outside) -- starts --> the server: plain user, outer namespaces
 *              \-- clone --> init: opens /dev/fuse, mounts, and hands the descriptor over
 *
 * The kernel wants the descriptor opened in the user namespace that mounts, and the server must see the main system,
 * which is left behind there: hence the two, with a socket between them. The server is started first, so that it is
 * loaded while the namespaces are made. It lives as long as the mount, that is, as long as any run that has the view.
 *
 * Every init of the view holds init's end of the socket. When the server is killed all of them see it close, and end.
 */
#pragma once

#include "host/linux/lister.h"
#include "host/linux/workplace.h"

/* Outside: starts the server. Returns init's end of the socket. `state` is the environment's directory, or -1. */
int mirror_start(const struct launch *launch, int state, struct error *err);

/* In init: opens the device, while its name is not covered yet. */
int mirror_open_device(struct error *err);

/* Mounts the mirror on the stage, and hands `device` to the server at `control`. Sets w->mirror. */
int mirror_mount(struct workplace *w, int device, int control, struct error *err);

/* In init, when the view stands, what it needs from then on, so that it never waits for a name of the mirror: whoever
 * answered may be dead. It has /dev/fuse too, which the server gives it: as long as somebody has it, requests that
 * nobody answers wait instead of failing, and the programs can be ended before they see a failure. */
struct guard {
        int control; /* to the server, or -1 */
        int device;  /* or -1 */
        struct guarded_layer {
                int mount; /* of a layer over the mirror */
                bool read_only;
        } *layers;
        size_t layer_count;
};
#define GUARD_NONE ((struct guard){.control = -1, .device = -1})
void guard_start(struct guard *g, const struct plan *plan, int control);
/* Is it one of the guard's descriptors? */
bool guard_keeps(const struct guard *g, int fd);
/* Requests fail from now on, when the server is dead. To be called before whoever waits for an answer is waited for,
 * and in a child that will wait itself. */
void guard_end(struct guard *g);

/* In init, later: takes what the server says. False: it is gone. */
bool mirror_obey(struct guard *g, struct lister *lister);

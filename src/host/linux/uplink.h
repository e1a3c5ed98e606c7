// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A network of an environment's own that reaches outside: pasta (package passt) carries it, a process of the user's.
 *
 *      paddock -- fork, enters init's user namespace -- clone: pid --> keeper -- fork --> pasta
 *
 * The network namespace is made together with init's user namespace, and so belongs to it: programs inside, root too,
 * have no power over it. They can neither take away the filter that stands in it (uplink_guard.c) nor write packets of
 * their own making. Pasta lives in the main system's network and process space, where nobody inside sees it. It cannot
 * be asked to end with somebody (it gives up what would tell it), so it lives in a process space of its own, of which
 * the keeper is the first process: whoever kills the keeper kills pasta, and the keeper ends when init does.
 *
 * What pasta would let through, and what is done about it: it splices loopback ports both ways by default (all four
 * directions are set, to none or to what is published), shows the main system's loopback under the gateway's address
 * (--no-map-gw), and forwards what is sent to a loopback address through its interface, which any program can do that
 * binds a socket to that interface (the filter drops it).
 */
#pragma once

#include "base/error.h"
#include "host/linux/init.h"

/* Where the main system's resolver is found inside. */
#define UPLINK_RESOLVER "169.254.1.1"

/* Outside, before anything is made: can there be an uplink, and are the published ports free? */
int uplink_check(struct birth *birth, struct error *err);
/* Outside, when init has its ids. Returns when programs inside can use it. birth->uplink is then a socket that ends
 * when nothing of it is left. */
int uplink_start(struct birth *birth, struct error *err);
/* Waits for that end, not long, and closes it. */
void uplink_over(struct birth *birth);

/* The program that carries an uplink, or NULL. */
const char *uplink_pasta(void);

/* In init, alone in the fresh network namespace: loopback, and the filter. */
int uplink_guard(struct error *err);
/* When the view stands: a resolver that can be reached, if what the tree names cannot. */
void uplink_resolver(void);

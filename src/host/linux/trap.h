// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Calls that are trapped for a server of their role (servers/supervisor): the filter, the network that is the
 * environment's own, and the supervisor outside.
 *
 *      paddock (outside) -- starts --> the supervisor: the user's, outer namespaces
 *              \-- clone --> init, or the program -- filter: its listener goes to the supervisor
 *
 * One filter, and so one listener, for all that run in a started environment: init has it, and with init it ends.
 */
#pragma once

#include "host/linux/init.h"

/* Outside: starts the supervisor. Returns the end of its socket for trap_network() and trap_calls(). */
int trap_start(const struct launch *launch, struct error *err);

/* In a process that is root of the fresh network namespace: the addresses at which names are looked up inside
 * become ones of its loopback, and sockets that answer there go to the supervisor. */
int trap_network(const struct birth *birth, struct error *err);

/* In the process whose descendants are the programs. From now on their calls are trapped. */
int trap_calls(const struct birth *birth, struct error *err);

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the environment's init and the paddock outside tell each other, over a socket pair that exists only between
 * them. One message a datagram. Neither end trusts a size: the program inside never holds this socket, but costs
 * nothing to doubt.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

enum report_type {
        REPORT_FAILED, /* value: exit code for paddock; text and remedy follow; then init ends */
        REPORT_FORBIDDEN, /* value: errno with which the kernel refused what a user namespace should allow; then init
                             ends */
        REPORT_READY, /* the view stands and the program was started; value: nothing */
        REPORT_TERMINAL, /* a descriptor: the outer side of the environment's terminal */
        REPORT_STOPPED, /* the program was stopped; value: the signal */
        REPORT_CONTINUED,
        REPORT_GO, /* outside -> init: ids are mapped, mounts are staged: go on */
        REPORT_SIGNAL, /* outside -> init: value: signal for the program alone */
        REPORT_SIGNAL_GROUP, /* the same for its process group */
        REPORT_ENDED, /* value: how the program ended, as waitpid() has it; only from an environment that lives on */
        REPORT_UPLINK, /* init is in its namespaces, and waits for GO before a program gets an uplink */
        REPORT_FOREGROUND, /* outside -> init: the program's group may have the terminal, and continues */
};

struct report {
        uint32_t type;
        int32_t value;
        char text[1024];   /* REPORT_FAILED */
        char remedy[1024];
};

/* Sends; `fd` is passed along unless -1. A vanished partner is no failure of ours to report. Returns 0 or -errno. */
int report_send(int socket, enum report_type type, int value, const struct error *err, int fd);

/* Receives; a passed descriptor goes to *fd (may be NULL: then it is closed). Returns 1, 0 at the end, -errno. */
int report_receive(int socket, struct report *report, int *fd);

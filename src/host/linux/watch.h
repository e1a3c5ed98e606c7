// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The paddock outside, while a program runs inside: passes on signals and the terminal, and waits.
 *
 * It must seem not to be there. A signal sent to it reaches the program; a key that the outer terminal turned into a
 * signal reaches the program's whole group, as it would have; when the program stops, paddock stops, and when it is
 * continued, so is the program.
 */
#pragma once

#include "host/host.h"
#include "host/linux/terminal.h"

#include <signal.h>

struct watch {
        const struct launch *launch; /* NULL: the program is in an environment that is not ours */
        int socket, signals;
        int control; /* number that init has its end of the mirror's socket under, or -1 */
        pid_t init;
        sigset_t before; /* the signal mask that paddock was started with */
        struct terminal terminal;
        int status;      /* REPORT_ENDED: how the program ended, as waitpid() has it; -1 before */
        bool ended, failed;
        bool told_to_stop; /* the stop that will be reported was not typed but sent to us */
        int exit_code;
};

/* The signals that are passed on. */
void watch_signals(sigset_t *set);

/* Returns when the program, or whoever would tell of it, is gone. `err` says why it could not be started, if so. */
void watch_until_end(struct watch *w, struct error *err);

// SPDX-License-Identifier: GPL-3.0-or-later
/* Long output in a terminal goes through a pager. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct pager {
        pid_t pid; /* 0: none */
};

/* When standard output is a terminal and `wanted`: starts $PADDOCK_PAGER, $PAGER or less, and sends standard output
 * there. */
void pager_start(struct pager *pager, bool wanted);
/* Waits until it has been read. */
void pager_end(struct pager *pager);

/* Is colour wanted: standard output is a terminal, TERM is not dumb, and NO_COLOR is not set? Asked before
 * pager_start(). */
bool pager_color(void);

// SPDX-License-Identifier: GPL-3.0-or-later
/* How a warden comes to be. The process that made the environment tells the one that will keep it; see
 * verbs/start.c. */
#pragma once

#include "base/error.h"
#include "model/environment.h"

#include <stdbool.h>

/* What the maker hands over. */
struct handover {
        int directory, init_socket, listening, lock; /* of the environment; control socket; warden.lock */
        int init;
        const char *name;
        const struct environment *environment; /* its `programs` */
        uint64_t memory; /* the limit that nothing enforces, or 0 */
        bool waits; /* for BEGIN, before it starts them */
};

/* In the maker: sends everything over `socket`. */
int warden_hand_over(int socket, const struct handover *h, struct error *err);

/* In the warden-to-be: takes it, and keeps the environment until it ends. When all is set up it calls started().
 * Returns -ECANCELED when the maker gave up, which has said why. `starter`: the reading end of a pipe, which it
 * takes; the environment is ended at once when that ends. -1: none. */
int warden_main(int socket, int starter, void (*started)(void *context), void *context, struct error *err);

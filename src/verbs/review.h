// SPDX-License-Identifier: GPL-3.0-or-later
/* `run --review`: what a program changed is looked at when it ends, and kept, carried out or thrown away. */
#pragma once

#include "verbs/request.h"
#include "verbs/verbs.h"

/* Has `run` run the request in another process, under a name of its own unless it has one; then shows and asks. Returns
 * the exit status of the program. */
int review(struct request *r, const struct library *library,
           int (*run)(struct request *r, const struct library *library));

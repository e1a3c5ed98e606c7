// SPDX-License-Identifier: GPL-3.0-or-later
/* `run` of an environment that is granted something: it is started, the program enters, and it is stopped when that has
 * ended. An environment that was made for that holds `temporary` locked for as long as whoever made it lives. */
#pragma once

#include "model/store.h"

struct environment;
struct request;

/* `e` is what is to run, with r's options in it. Returns the exit status of the program, or that of paddock's
 * failure. */
int granted(struct request *r, struct environment *e);

/* Removes environments that were made so and whose makers were killed. Silent. */
void granted_sweep(struct store *store);

// SPDX-License-Identifier: GPL-3.0-or-later
/* `run` of an environment that is granted something: it is started, the program enters, and it is stopped when that has
 * ended. */
#pragma once

#include "verbs/request.h"

/* `e` is what is to run, with r's options in it. Returns the exit status of the program, or that of paddock's
 * failure. */
int granted(struct request *r, struct environment *e);

// SPDX-License-Identifier: GPL-3.0-or-later
/* The console of a subhurd, as `paddock console` and `paddock boot` show it. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

enum console_end { CONSOLE_DETACHED, CONSOLE_OVER /* the subhurd has ended */ };

/* Shows the console of environment `name`, what it said lately first, and types on it what standard input brings,
 * until the key or the end; `patient`: the end of the input is no end. *status is then how the subhurd ended, as
 * waitpid() has it. Returns enum console_end or a negative errno; -ESRCH: it does not run. */
int console_watch(const char *name, bool patient, int *status, struct error *err);

/* What the console said last before the subhurd ended. Returns false when nothing was kept. */
bool console_last(const char *name);

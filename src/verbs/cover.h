// SPDX-License-Identifier: GPL-3.0-or-later
/* What the slots of a run lie over, taken from its plan and written beside them. */
#pragma once

#include "plan/plan.h"

#include <time.h>

/* Writes what `slot` covers, if it is not written yet or has changed. `fresh`: nothing in the slot is older than
 * `started`. */
int cover_record(int directory, const struct plan *plan, const struct slot *slot, bool fresh,
                 const struct timespec *started, struct error *err);

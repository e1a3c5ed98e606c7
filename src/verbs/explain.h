// SPDX-License-Identifier: GPL-3.0-or-later
/* `--explain --json`. */
#pragma once

#include "plan/plan.h"

/* Prints the plan as one JSON object on standard output. */
void explain_json(const struct plan *plan, const struct environment *e);

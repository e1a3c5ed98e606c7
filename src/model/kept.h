// SPDX-License-Identifier: GPL-3.0-or-later
/* The grants that an environment keeps between two starts: the file `grants` in its directory, a line of
 * grant_to_fields() each. */
#pragma once

#include "base/error.h"
#include "model/grant.h"

/* Adds them to `grants`. No file: none. */
int kept_load(int directory, struct grant_list *grants, struct error *err);
/* Replaces the file; it is the old one or the new one whatever happens. */
int kept_save(int directory, const struct grant_list *grants, struct error *err);

// SPDX-License-Identifier: GPL-3.0-or-later
/* The grants that an environment keeps between two starts: the file `grants` in its directory, a line of
 * grant_to_fields() each; and the channels, in the file `channels`, of channel_plan_to_fields(). */
#pragma once

#include "base/error.h"
#include "model/channel.h"
#include "model/grant.h"

/* Adds them to `grants`. No file: none. */
int kept_load(int directory, struct grant_list *grants, struct error *err);
/* Replaces the file; it is the old one or the new one whatever happens. */
int kept_save(int directory, const struct grant_list *grants, struct error *err);

int kept_channels_load(int directory, struct channel_plans *plans, struct error *err);
int kept_channels_save(int directory, const struct channel_plans *plans, struct error *err);

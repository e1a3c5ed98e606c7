// SPDX-License-Identifier: GPL-3.0-or-later
/* What `paddock channel` was asked for, as the server of channels (servers/channel/control.h) wants it. */
#pragma once

#include "base/error.h"
#include "model/channel.h"
#include "servers/channel/control.h"

#include <stddef.h>

/* `side`, but for `does`, of one end of a port. */
void channel_side_of(const struct channel_at *at, struct channel_side *side);

/* The commands of an exec channel. *text is fresh memory of *size bytes; *names, for people, too. */
void channel_commands(const struct channel_plan *plan, char **text, size_t *size, char **names);

/* The sealed memory file. `text` holds spec->text bytes. */
int channel_seal(const struct channel_spec *spec, const char *text, struct error *err);

// SPDX-License-Identifier: GPL-3.0-or-later
/* The parts of `paddock channel`. */
#pragma once

#include "verbs/granting.h"

#define CHANNEL_PARTNERS "channel" /* directory of the environment: the outer ends */

/* channelopen.c: opens a channel that is as it must be. `by` says by whose word. *line, for people, is fresh memory. */
int channel_open(struct granting *g, const struct channel_plan *plan, const char *by, char **line, struct error *err);
/* Takes it back. *lost: bytes that were under way. */
int channel_close(struct granting *g, const char *name, uint64_t *lost, struct error *err);
/* Opens what the description and --keep say. All are tried; problems go to standard error. 0 or -1. */
int channels_again(struct granting *g);

/* Removes the kept channel `name`, or all (NULL). Returns how many. */
int channels_forget(struct granting *g, const char *name, struct error *err);

/* channelcall.c: inside: asks at the socket of an exec channel for a command. Returns the exit status. */
int channel_call(const char *socket, const char *command);

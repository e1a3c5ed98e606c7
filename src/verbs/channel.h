// SPDX-License-Identifier: GPL-3.0-or-later
/* The parts of `paddock channel`. */
#pragma once

/* channelcall.c: inside: asks at the socket of an exec channel for a command. Returns the exit status. */
int channel_call(const char *socket, const char *command);

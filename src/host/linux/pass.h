// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages over a UNIX socket, with a descriptor or without. */
#pragma once

#include <stddef.h>

/* Sends `size` bytes as one message, with a copy of `fd` when it is not negative. Returns 0 or a negative errno. */
int pass_send(int socket, const void *data, size_t size, int fd);

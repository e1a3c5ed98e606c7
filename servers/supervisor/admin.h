// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What `paddock servers` and `paddock serve` tell the supervisor of a started environment, over the SOCK_SEQPACKET
 * socket `servers` in its directory: one request a connection, answered with one text. The directory is its owner's
 * alone, and not visible inside.
 */
#pragma once

#define ADMIN_SOCKET "servers"
#define ADMIN_SIZE 65536

/* The first byte of a request; the rest:
 * STATUS    nothing. Answered with JSON.
 * REPLACE   the working directory, and the words of the program, each ended by a NUL. Answered with "" or what is wrong. */
#define ADMIN_STATUS 's'
#define ADMIN_REPLACE 'r'

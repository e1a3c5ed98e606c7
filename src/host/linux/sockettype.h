// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

/* The type (SOCK_STREAM, ...) of the bound UNIX socket whose file `fd` is open on. Negative errno when no socket of
 * this network namespace is bound there. Nothing is connected. */
int socket_type(int fd);

// SPDX-License-Identifier: GPL-3.0-or-later
/* Servers: found, and become. */
#pragma once

/* The program `name`: beside this one, in libexec, or in the tree that it was built in. Fresh memory, or NULL. */
char *server_path(const char *name);

/* In a child: becomes the program, in a session of its own, since no key of the terminal is meant for it, with nothing
 * but `control`, as descriptor 3. Does not return. */
_Noreturn void server_become(char **argv, int control);

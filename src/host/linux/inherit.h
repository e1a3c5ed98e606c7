// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Descriptors that the program inherits.
 *
 * Theory of operation. A redirection is the user's word, so what it opens stays open inside. But a descriptor is more
 * than its data: through /proc/self/fd a file that was opened for reading can be opened again for writing, on the
 * writable mount that it was found on, and a directory leads with ".." to everything. So
 *
 *   - pipes, fifos and files opened for writing stay as they are: that is what `>file` and a make jobserver mean;
 *   - a file opened for reading is replaced by the same file on a read-only mount, at the same offset;
 *   - terminals give way to the environment's own (terminal.h);
 *   - directories on 0, 1 or 2 are replaced by the same name inside; all other descriptors of directories, sockets,
 *     devices and whatever else are closed.
 *
 * The kernel's harmless devices (null, zero, full, random, urandom) are let through.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

#define INHERIT_LIMIT 256 /* descriptors; what lies above is closed */

enum inherit_what { INHERIT_CLOSE, INHERIT_KEEP, INHERIT_READ_ONLY, INHERIT_TERMINAL, INHERIT_DIRECTORY };

struct inherit {
        unsigned char what[INHERIT_LIMIT];
        int highest;     /* highest descriptor that is not closed */
        int open;        /* highest that is open */
        bool terminal;   /* one of them is a terminal */
        bool reopen;     /* some are INHERIT_READ_ONLY */
        char *directory[3]; /* names of the standard descriptors that are directories */
};

/* Looks at the calling process's descriptors; those that are closed on exec are not inherited. */
int inherit_survey(struct inherit *inherit, struct error *err);

/* Above this no descriptor is open that was inherited. */
int inherit_highest_open(const struct inherit *inherit);

/* Outside, once init has them: they are let go (but for standard error, which messages need), so that a pipe that
 * the program closes is closed. */
void inherit_let_go(const struct inherit *inherit);

/* In the process that builds the view, before it builds: replaces the INHERIT_READ_ONLY ones. */
int inherit_reopen(const struct inherit *inherit, struct error *err);

/* In the program's process, before it looks up any name inside: everything is closed that the program does not get, but
 * for `socket`; terminals are replaced by `terminal` (-1: none). A name inside may be a link to /proc/self/fd/N, and
 * must not find anything of ours there (CVE-2024-21626). */
int inherit_close(const struct inherit *inherit, int terminal, int socket, struct error *err);

/* After that: standard descriptors that were directories are opened again, by the same names inside. */
void inherit_directories(const struct inherit *inherit);

/* Opens a directory by its name inside, through no link of /proc. Returns -1 with errno. */
int inherit_open_directory(const char *name);

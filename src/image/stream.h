// SPDX-License-Identifier: GPL-3.0-or-later
/* A file read unpacked, whatever it was packed with: gzip, xz, zstd or bzip2, known by its first bytes and unpacked
 * by the program of that name. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct stream {
        FILE *file;
        pid_t programs[2]; /* who unpacks, and who gives it the first bytes of what cannot be read twice */
        const char *name;  /* of the program, or NULL */
};
#define STREAM_NONE ((struct stream){0})

/* Takes the descriptor over, on failure too. */
int stream_open(struct stream *s, int fd, struct error *err);
/* Ends it. Fails when the program that unpacks did; `whole` says that all was read. */
int stream_close(struct stream *s, bool whole, struct error *err);

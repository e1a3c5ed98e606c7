// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What is to run in a living environment: from the paddock outside, as a sealed memory file, to the process that
 * becomes the program.
 *
 * The file, numbers as the machine has them: PAYLOAD_MAGIC, how many arguments, how many variables, the umask (4
 * bytes each); the signal mask, the ignored signals (8 each, bit N-1 for signal N); one byte (enum inherit_what) for
 * each standard descriptor, and one that is 0. Then texts, each with a NUL: the working directory, the user (empty:
 * as the environment has it), the names of standard descriptors 0, 1 and 2 that are directories, the arguments, the
 * variables. Nothing follows.
 */
#pragma once

#include "base/error.h"
#include "host/linux/inherit.h"

#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_MAGIC 0x31796170u /* "pay1" */
#define PAYLOAD_LIMIT (8u << 20)  /* more than the kernel takes for arguments and variables by default */

struct payload {
        char **argv, **variables; /* each ends with NULL; argv has one at least */
        char *cwd, *user;         /* NULL: none, as it is */
        unsigned umask;
        uint64_t mask, ignored;
        unsigned char what[3];    /* enum inherit_what of the standard descriptors */
        char *directory[3];
        char *bytes;              /* of payload_read(): what all of them point into */
};

/* Returns a descriptor. */
int payload_seal(const struct payload *p, struct error *err);

/* Reads the file. A process that becomes the program keeps it for good. */
int payload_read(int fd, struct payload *p, struct error *err);
void payload_clear(struct payload *p);

/* The same from `size` bytes, which stay where they are; pure. -EBADMSG when they are none. */
int payload_parse(struct payload *p, char *bytes, size_t size);

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Content for files that the server may not read but that a system cannot do without: /etc/shadow and /etc/gshadow,
 * made from /etc/passwd and /etc/group with every entry locked. All other files that may not be read are shown
 * empty.
 */
#pragma once

#include "mirror.h"

/* How many bytes stand in for the unreadable file `name` in directory `fd`; 0: none. */
off_t standin_size(struct mirror *m, const struct seen *seen, int fd, const char *name);
/* The text that stands in for `name` ("shadow" or "gshadow"), made from the file beside it in directory `fd`. Fresh
 * memory, or NULL. */
char *standin_text(int fd, const char *name);

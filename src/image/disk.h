// SPDX-License-Identifier: GPL-3.0-or-later
/* File systems in files: ext2 to ext4, and squashfs. What reads them are the programs that serve them to users
 * (fuse2fs, squashfuse), so that no kernel looks at what somebody sent. */
#pragma once

#include "base/error.h"

struct disk {
        const char *kind;         /* "ext4", "squashfs" */
        const char *server;       /* the program that serves it, */
        const char *package;      /* of this package (Debian), */
        const char *options;      /* with these options */
};

/* Looks at the file that `fd` is open on. 1: it is one that can be read. 0: it is no file system. A negative errno,
 * with `err`: it is one that cannot be. */
int disk_look(int fd, struct disk *disk, struct error *err);

// SPDX-License-Identifier: GPL-3.0-or-later
/* An OCI image layout, or what `docker save` and `podman save` write, as files: read, checked, and its layers laid
 * in order. */
#pragma once

#include "image/archive.h"
#include "image/oci.h"

struct bundle {
        int directory;
        const char *tag, *machine;
        /* Lays the layer that `fd` is open on (packed or not); the lowest deletes nothing. `diff_id`: its digest
         * unpacked, or NULL. */
        int (*lay)(void *context, int fd, bool lowest, const char *diff_id, struct error *err);
        void *context;
        struct oci_image image; /* what was found */
};

/* Does an archive whose first name this is hold an image, and not a tree? */
bool bundle_begins(const char *name);
/* Is there one in the directory? */
bool bundle_is_in(int directory);
/* Writes the parts that such an archive holds, the first of which was read, into directory `bundle` of `into`, and
 * opens that. */
int bundle_spool(int into, struct archive *a, uint64_t limit, int *bundle, struct error *err);
/* Checks and lays it. */
int bundle_lay(struct bundle *b, struct error *err);

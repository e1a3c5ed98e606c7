// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock image`: its parts. */
#pragma once

#include "image/import.h"

#include <stdbool.h>

struct image_request {
        const char *action;
        const char *arguments[64];
        int count;
        const char *tag, *mirror, *include, *variant;
        uint64_t limit;
        bool json, verbose;
};

/* Builds a Debian of suite arguments[0] as image arguments[1]. Returns an exit status. */
int image_debian(struct store *s, const struct image_request *r);

/* What a fresh image is. */
void image_tell(const struct image *image);

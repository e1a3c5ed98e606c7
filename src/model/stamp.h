// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a layer was made over: the name of the operating system, its packages and their versions, what was mounted.
 *
 * A layer holds some files and shows the main system's for all others. When packages of the main system are upgraded, a
 * layer that has files of them mixes two versions. The stamp is written when the layer is made, and compared when it is
 * used again. It lies in the environment's directory (`base`), a line a fact, fields separated by tabs and escaped by
 * text_escape().
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct package {
        char *name; /* with its architecture, as in "libc6:amd64" */
        char *version;
};

struct stamp {
        char *os;       /* as people call it */
        char *database; /* tells whether the package database was touched since, without reading it; NULL: there is
                         * none */
        struct package *packages; /* sorted by name; none when the database's kind is not known */
        size_t package_count, package_capacity;
        char **mounts; /* where file systems are mounted, sorted */
        size_t mount_count, mount_capacity;
};

#define cleanup_stamp __attribute__((cleanup(stamp_clear)))
void stamp_clear(struct stamp *stamp);

/* Adds the installed packages of a dpkg database (the text of its `status`). */
void stamp_add_dpkg(struct stamp *stamp, const char *status);
void stamp_add_package(struct stamp *stamp, const char *name, const char *version);
void stamp_add_mount(struct stamp *stamp, const char *path);
/* After the last addition: sorts. */
void stamp_sort(struct stamp *stamp);

/* The stored form, and back. Fresh memory. EPROTO: written by a newer version. */
char *stamp_to_text(const struct stamp *stamp);
int stamp_from_text(struct stamp *stamp, const char *text, struct error *err);

/* A package that is not what it was. */
struct package_change {
        const char *name, *before, *after; /* versions; NULL: not installed. Point into the stamps. */
};

/* What changed from `before` to `now`. Returns the number; *changes is fresh memory. */
size_t stamp_compare(const struct stamp *before, const struct stamp *now, struct package_change **changes);

/* Is `path` one of the stamp's mounts? */
bool stamp_has_mount(const struct stamp *stamp, const char *path);

// SPDX-License-Identifier: GPL-3.0-or-later
/* File names as text: nothing here asks the system about them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Is `path` the directory `top` or below it? Both absolute and clean (see path_clean()). */
bool path_is_below(const char *path, const char *top);

/* `path` made absolute against `base` (absolute) and lexically clean: no empty, "." or ".." component, no trailing
 * slash. ".." at the root stays at the root. Only for names in which ".." cannot cross a symbolic link: whoever can
 * look uses plan/walk instead. Fresh memory. */
char *path_clean(const char *base, const char *path);

/* "dir/name", without doubling the slash of "/". Fresh memory. */
char *path_join(const char *dir, const char *name);

/* The directory part of a clean absolute path ("/" for "/"). Fresh memory. */
char *path_parent(const char *path);

/* The last component of a clean absolute path ("" for "/"). Points into `path`. */
const char *path_name(const char *path);

/* Orders paths so that a directory comes directly before everything below it ('/' sorts before all other bytes). For
 * qsort-like use on clean paths. */
int path_compare(const char *a, const char *b);
/* The same, with the path that the first `length` bytes of `b` are. */
int path_compare_start(const char *a, const char *b, size_t length);

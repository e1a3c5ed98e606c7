// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The YAML description of an environment, paddock.yaml(5): read into a `struct environment`, and written from one.
 * Reading is strict: what is not understood is refused with its place in the file, nothing is skipped in silence.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "model/environment.h"

#include <stddef.h>

#define DESCRIPTION_SIZE_LIMIT (1024 * 1024) /* bytes of one file */
#define DESCRIPTION_RULE_LIMIT 4096          /* rules in one view */
#define DESCRIPTION_SOURCE_LIMIT 1024        /* directories in one union: more than any kernel unites */

/*
 * Reads `length` bytes of YAML at `text` into `e`, whose former content is not looked at. An empty text is the default
 * environment. Relative names become absolute below `directory` (absolute and clean); "~" and "~/..." stay, they
 * belong to whoever runs the environment.
 *
 * Every problem found, not only the first, is added to `problems` as one line "origin:line:column: message\n", in the
 * order of the file; lines and columns count from 1, columns in characters. Returns 0 when there were none, else
 * -EINVAL, with `e` cleared.
 */
int description_parse(struct environment *e, const char *text, size_t length, const char *origin, const char *directory,
                      struct text *problems);

/*
 * Reads the file `file` ("-": standard input) with description_parse(). Relative names in it are relative to its
 * directory; to the current one when it is not a regular file. Returns 0; -EINVAL with the problems in `problems` and
 * a summary in `err`; or another negative errno, with `problems` untouched, when the file could not be read.
 */
int description_load(struct environment *e, const char *file, struct text *problems, struct error *err);

/* A named set of grants. */
struct grant_set {
        char *name;
        struct grant_list grants;
};
struct grant_sets {
        struct grant_set *sets;
        size_t count, capacity;
};
#define cleanup_grant_sets __attribute__((cleanup(grant_sets_clear)))
void grant_sets_clear(struct grant_sets *sets);

/* The file that defines the user's sets: $XDG_CONFIG_HOME/paddock/grants.yaml, or the same below ~/.config. Fresh
 * memory; NULL when there is no home directory. */
char *grant_sets_file(void);
/* Reads it; no file is no sets. As description_load(). */
int grant_sets_load(struct grant_sets *sets, struct text *problems, struct error *err);
/* The same from a text, as description_parse(). */
int grant_sets_parse(struct grant_sets *sets, const char *text, size_t length, const char *origin,
                     const char *directory, struct text *problems);
/* The set of that name; ENOENT with the nearest name, and how to make one. */
int grant_sets_find(const struct grant_sets *sets, const char *name, const struct grant_list **grants,
                    struct error *err);
/* `grants` with every reference to a set replaced by what it holds, with what the reference says (to, locked, ...)
 * added. */
int grant_sets_expand(const struct grant_sets *sets, const struct grant_list *grants, struct grant_list *expanded,
                      struct error *err);

/*
 * The YAML text from which description_parse() makes an environment equal to `e`, in fresh memory. Rules keep their
 * order; those that are there by default are left out. Strings that are not UTF-8 are written as !!binary.
 */
char *description_write(const struct environment *e);

/* Adds the comment line "# label: name", behind `indent`, to a description. `name` may be any file name: what cannot
 * stand in YAML, or would not be seen, appears as \xHH. */
void description_add_comment(struct text *t, const char *indent, const char *label, const char *name);

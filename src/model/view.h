// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The view of an environment: what file names mean inside.
 *
 * A view is a set of rules, each on one path. The rule that governs a name is the one on the longest path that is the
 * name itself or a directory above it. There is always a rule that governs: where none was given, the default of `run`
 * holds, which is `private` on "/".
 *
 * Nothing in here looks at a file system; how a rule is carried out is the plan's concern, and how the plan is carried
 * out the host's (Linux: mounts; GNU/Hurd: a netfs translator).
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum rule_kind {
        RULE_PRIVATE, /* copy-on-write: what is written belongs to the environment */
        RULE_MIRROR,  /* see through, read-only */
        RULE_SHARE,   /* see through, writes go through */
        RULE_EMPTY,   /* nothing of the outside; what is written belongs to the environment */
        RULE_HIDE,    /* the name is not there */
        RULE_FROM,    /* answered from another path, copy-on-write */
        RULE_UNION,   /* several directories as one, the first that has a name wins; copy-on-write */
};
#define RULE_KINDS 7

struct rule {
        enum rule_kind kind;
        char *path;     /* absolute and clean, or "~" or "~/..." for the home directory of whoever runs it */
        char **sources; /* FROM: one; UNION: one or more, in order of precedence; same form as path */
        size_t source_count;
        bool by_default; /* made by paddock, not asked for: a later explicit rule on the same path replaces it */
};

struct view {
        struct rule *rules;
        size_t count, capacity;
};

/* The word for a kind, as in options, descriptions and explanations ("private", ...). */
const char *rule_word(enum rule_kind kind);

/* The kind of a word, or -1. */
int rule_from_word(const char *word);

/* Adds a rule. `path` and `sources` are copied. Fails with EEXIST when an explicit rule on the same path says something
 * else already (the same rule twice is one rule), EINVAL when the number of sources does not fit the kind. */
int view_add(struct view *view, enum rule_kind kind, const char *path, const char *const *sources,
             size_t source_count, struct error *err);

/* Adds a rule that yields to any rule already there on that path. */
void view_add_default(struct view *view, enum rule_kind kind, const char *path, const char *source);

/* Sorts the rules by path, each directory directly before what is below it. view_lookup() needs it. */
void view_sort(struct view *view);

/* The rule that governs the clean absolute path `path`, or NULL when none does. The view must be sorted and its paths
 * absolute. Costs O(depth * log rules). */
const struct rule *view_lookup(const struct view *view, const char *path);

void view_copy(struct view *to, const struct view *from);
void view_clear(struct view *view);

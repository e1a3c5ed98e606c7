// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the mirror does not show.
 *
 * Rules are given by name when the server starts: hidden (there is no such name) and blank (an empty directory).
 * They hold for the name, and hidden ones for the file that stood there at the start as well, under whatever other
 * name it is reached: a link or a rename outside does not lead around a rule. Besides, whole file systems are
 * blank: those that hold no files anyone keeps (proc, sysfs, devices, control groups) and automounts, which looking
 * must not trigger.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum rule_kind { RULE_NONE, RULE_HIDDEN, RULE_BLANK };

/* A component of a rule's name: points form a tree. */
struct rule_point {
        char *name;
        enum rule_kind kind;
        const struct rule_point *children;
        const struct rule_point *next; /* sibling */
};

struct rule_identity {
        dev_t dev;
        ino_t ino;
        bool has_birth; /* the number of a file that was removed is given to another: its time of birth is not */
        int64_t birth;
        uint32_t birth_nanoseconds;
};

struct rules {
        struct rule_point root;
        struct rule_identity *hidden;
        size_t hidden_count;
};

/* Adds a rule on an absolute clean path ("/a/b", neither "." nor ".." in it). Returns 0 or a negative errno. */
int rules_add(struct rules *rules, enum rule_kind kind, const char *path);
/* Notes which files the hidden names are, seen from the directory `root`; symbolic links on the way to them are
 * followed as if `root` were the system's. */
int rules_identify(struct rules *rules, int root);
void rules_clear(struct rules *rules);

/* The point for `name` below `point` (which may be NULL). NULL: no rule at or below that name. */
const struct rule_point *rules_below(const struct rule_point *point, const char *name);
/* Is it a hidden file? `st` is what fd and name ("": fd itself) lead to. In doubt it is. */
bool rules_hides(const struct rules *rules, const struct stat *st, int fd, const char *name);

/* Is a file system of this type (statfs f_type) shown as an empty directory? */
bool rules_blank_type(long type);
/* May others change files of it without a notice here: over a network, or behind a server in user space? */
bool rules_remote_type(long type);

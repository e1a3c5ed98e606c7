// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * YAML text as a tree in which each node knows its place, and the list of problems found in the text. The only file
 * that knows the YAML library is yaml.c. Private to this room.
 */
#pragma once

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
        enum node_kind kind;
        int line, column;       /* from 1 */
        char *text;             /* SCALAR: its characters and a NUL; NUL bytes can be among them */
        size_t length;          /* SCALAR: of text */
        bool plain;             /* SCALAR: written without quotes and without a tag */
        bool unusable;          /* what is wrong with it was reported; it has no value */
        struct node *items;     /* LIST: the items. MAP: key, value, key, value, ... */
        size_t count, capacity; /* of items */
};

void node_clear(struct node *node);

struct problem {
        int line, column;
        size_t order; /* in which it was found */
        char *text;
};

struct problems {
        struct problem *items;
        size_t count, capacity;
};

/* Records a problem at a place. Past a thousand nobody reads on: the next one says so, the rest are dropped. */
void problem_add(struct problems *problems, int line, int column, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

/* Adds all problems to `out`, by place, a line each: "origin:line:column: message". `origin` may be any file name. */
void problems_print(struct problems *problems, const char *origin, struct text *out);
void problems_clear(struct problems *problems);

/*
 * Reads the one document in `text`. Returns true when there is one, and fills `root`; false when the text is empty but
 * for comments, or when nothing of it could be read. After a syntax error `root` holds what came before it: every pair
 * that is complete. Refused here: what is not UTF-8, control characters, directives, anchors, aliases, unknown tags,
 * the same key twice in a map, deep nesting and more nodes than a description can need.
 */
bool yaml_read(const char *text, size_t length, struct node *root, struct problems *problems);

/* Decodes one UTF-8 character of at most `length` bytes. Returns how many bytes it has, 0 when it is not valid. */
size_t utf8_decode(const char *text, size_t length, uint32_t *point);

/* Some bytes fit for a message: escaped, and cut after 60 characters or so. Fresh memory. */
char *shown(const char *text, size_t length);

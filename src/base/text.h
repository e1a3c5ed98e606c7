// SPDX-License-Identifier: GPL-3.0-or-later
/* Growing text, and text made safe to show. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct text {
        char *data; /* always NUL-terminated once anything was added; NULL when empty */
        size_t length, capacity;
};

#define cleanup_text __attribute__((cleanup(text_clear)))

void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const char *s, size_t n);
void text_addf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_clear(struct text *t);

/* Adds `s` so that a terminal shows exactly one line whatever it contains: control characters, invalid UTF-8, the
 * bidirectional overrides and backslashes become \n, \t, \\ or \xHH. File names are hostile input. */
void text_add_escaped(struct text *t, const char *s);

/* As above, in fresh memory. */
char *text_escape(const char *s);

/* Undoes text_escape(); returns NULL when `s` holds an escape that text_escape() never writes. */
char *text_unescape(const char *s);

/* Splits `line` at tabs in place and unescapes each field into fresh memory. Returns the number of fields, or -1 when
 * there are more than `limit` or one holds what text_escape() never writes. */
int text_fields(char *line, int limit, char ***fields);
void text_fields_free(char **fields, int count);

/* Adds `s` quoted for a POSIX shell (bare when it needs no quotes). */
void text_add_shell(struct text *t, const char *s);

/* The entry of `words` (NULL-terminated) nearest to `word`, or NULL when none is near enough to be meant. */
const char *text_nearest(const char *word, const char *const *words);

// SPDX-License-Identifier: GPL-3.0-or-later
/* What reading a tree needs, whatever it describes: parse.c has the functions. Private to this room. */
#pragma once

#include "description/yaml.h"
#include "model/environment.h"

struct parser {
        struct environment *e;
        struct problems *problems;
        const char *directory;
        int *lines; /* of each rule in the view, for "first on line" */
        size_t line_count, line_capacity;
};

/* Reports on a node. */
#define complain(p, node, ...) problem_add((p)->problems, (node)->line, (node)->column, __VA_ARGS__)

/* Is `node` the scalar `word`? */
bool parser_is_word(const struct node *node, const char *word);
/* Is there nothing after the colon? */
bool parser_is_nothing(const struct node *node);
/*
 * The characters of a scalar, or NULL after reporting why there are none to be had. `key` is the word whose value this
 * is, `takes` what it takes, with its article.
 */
const char *parser_scalar(struct parser *p, const struct node *node, const char *key, const char *takes);
/* Reports a word that is none of `known` (NULL-terminated), with the nearest or, when none is near, the first
 * `available` of them: the words of later versions come after these. */
void parser_unknown(struct parser *p, const struct node *node, const char *what, const char *const *known,
                    size_t available);
/*
 * The path in `node`, in the form the model wants: absolute, or "~" or "~/...", and clean. One with ".." is not
 * cleaned: what it means depends on symbolic links, and the resolver looks at these. NULL after a report.
 */
char *parser_path(struct parser *p, const struct node *node, const char *key);
/* yes or no, without quotes. */
void parser_bool(struct parser *p, const struct node *node, const char *key, bool *value);

/* grants.c: the list of `grants:`, or of a named set (`set`: its name; it holds no other sets), added to `grants`. */
void parser_grants(struct parser *p, const struct node *value, const char *key, const char *set,
                   struct grant_list *grants);
/* PATH: {grant: ro|rw} in a view. */
void parser_view_grant(struct parser *p, const struct node *key, const struct node *value);

/* programs.c: the list of `run:`, and the command of `init:`. */
void parser_run(struct parser *p, const struct node *value);
void parser_init(struct parser *p, const struct node *value);

/* network.c: the word or map of `network:`. */
void parser_network(struct parser *p, const struct node *value);

/* limits.c: the map of `limits:`. */
void parser_limits(struct parser *p, const struct node *value);
/* channels.c: the map of `channels:`. */
void parser_channels(struct parser *p, const struct node *value);
void parser_sockets(struct parser *p, const struct node *value);

/* load.c: the content of a file ("-": standard input), and the directory that its relative names start from. */
int description_read(const char *file, struct text *content, char **directory, struct error *err);

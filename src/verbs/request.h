// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the command line of `paddock run` asks for.
 *
 * It is read twice over, from one table of options. `paddock` reads it with request_parse(), which knows what is said
 * in full and without a mistake and leaves all else (help, abbreviations, errors) to `paddock-verbs`, which reads it
 * with argp (request_argp.c). argp is the GNU C library's own, and would keep `paddock` from being linked with a
 * smaller one.
 */
#pragma once

#include "verbs/options.h"

#include <stdbool.h>

struct request {
        struct environment options; /* what the command line says */
        bool given;                 /* it says anything that describes the environment */
        const char *name, *file;
        char **command;
        char *cwd;
        bool explain, json, memory, rebase, review;
        bool identity; /* --as was said */
        struct error *err;
};

enum { OPTION_EXPLAIN = 0x200, OPTION_JSON, OPTION_MEMORY, OPTION_REBASE, OPTION_REVIEW };

/* The options of `run`, as argp has them, without the end. */
#define OPTIONS_RUN                                                                                                    \
        {"name", 'n', "NAME", 0, "run the environment NAME, made when there is none; it is kept", 0},                  \
        {"file", 'f', "FILE", 0, "describe the environment by FILE (paddock.yaml(5))", 0},                             \
        {"explain", OPTION_EXPLAIN, NULL, 0, "print what would be done instead of doing it", 0},                       \
        {"json", OPTION_JSON, NULL, 0, "with --explain: as JSON", 0},                                                  \
        {"memory", OPTION_MEMORY, NULL, 0, "keep the temporary layer in memory", 0},                                   \
        {"rebase", OPTION_REBASE, NULL, 0, "with -n: remove its layer, and start with a fresh one", 0},                \
        {"review", OPTION_REVIEW, NULL, 0, "at the end, show the changes and ask: commit, keep, discard", 0},         \
        OPTIONS_ENVIRONMENT

/* Takes one option. Returns OPTION_UNKNOWN, 0, or a negative errno with r->err set. */
int request_option(struct request *r, int key, char *arg);

/* Reads a command line that is complete and plain. Returns REQUEST_FOR_LIBRARY when it is not; else as
 * request_option(). */
#define REQUEST_FOR_LIBRARY 1
int request_parse(struct request *r, int argc, char **argv);

/* Reads any command line with argp, which ends the program when it is wrong or asks for help (only in
 * `paddock-verbs`). */
int request_argp(struct request *r, int argc, char **argv);

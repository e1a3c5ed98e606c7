// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The verbs, and what they have in common. A verb takes argv[0] = its own name ("paddock run") and returns an exit
 * status.
 *
 * There are two programs. `paddock` is what people start: it links nothing but the C library, runs `run` itself, and
 * executes `paddock-verbs` for everything else, so that a run never waits for a YAML or JSON library to be loaded.
 */
#pragma once

#include "base/text.h"
#include "model/environment.h"
#include "plan/plan.h"

/* As shells have it: 126 cannot be executed, 127 not found; 125 is a failure of paddock itself. */
#define EXIT_PADDOCK 125
#define EXIT_CANNOT_EXECUTE 126
#define EXIT_NOT_FOUND 127

/* What `run` needs of the libraries that only paddock-verbs has. NULL functions: not here. */
struct request;
struct watch_size;
struct library {
        int (*parse)(struct request *r, int argc, char **argv);
        int (*load)(struct environment *e, const char *file, struct text *problems, struct error *err);
        void (*explain)(const struct plan *plan, const struct environment *e);
        /* Watches the layer of the environment whose directory is open, if it has a limit, until the second. */
        int (*watch)(struct watch_size *watch, int directory, uint64_t memory, const char *name, const struct environment *e,
                     struct error *err);
        void (*watched)(struct watch_size *watch);
        int (*granted)(struct request *r, struct environment *e);
        int (*review)(struct request *r, const struct library *library,
                      int (*run)(struct request *r, const struct library *library));
};

/* Returned by verb_run() when it needs a library that it was not given: nothing was done yet. */
#define RUN_NEEDS_LIBRARY (-1)

int verb_run(int argc, char **argv, const struct library *library);
/* These two as well, with the same answer when the words are not plain: help, mistakes, abbreviations. */
int verb_start(int argc, char **argv);
/* Before the name, for paddock's own use: the environment lives as long as somebody has the other end of the pipe of
 * that number. */
#define START_WITH "--with-pipe="
int verb_enter(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_restart(int argc, char **argv);
int verb_wait(int argc, char **argv);
int verb_ps(int argc, char **argv);
int verb_logs(int argc, char **argv);
int verb_top(int argc, char **argv);
/* ps.c: the name of a user inside, or the number. */
const char *user_name_of(long uid, char *buffer, size_t size);
/* fast.c: what `paddock` itself does, when its words were not plain: reads them with argp, and executes `paddock` with
 * plain ones. */
int verb_start_words(int argc, char **argv);
int verb_enter_words(int argc, char **argv);
/* Executes `paddock` with these words ("paddock" first). Returns only when that fails: an exit status. */
int execute_paddock(char **argv);
/* main.c, of `paddock` alone: becomes paddock-verbs. */
_Noreturn void execute_verbs(char **argv);
int verb_grant(int argc, char **argv);
int verb_ask(int argc, char **argv);
int verb_revoke(int argc, char **argv);
int verb_grants(int argc, char **argv);
int verb_create(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_show(int argc, char **argv);
int verb_rm(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_diff(int argc, char **argv);
int verb_snapshot(int argc, char **argv);
int verb_reset(int argc, char **argv);
int verb_clone(int argc, char **argv);
int verb_boot(int argc, char **argv);
int verb_console(int argc, char **argv);
int verb_servers(int argc, char **argv);
int verb_serve(int argc, char **argv);
int verb_channel(int argc, char **argv);
int verb_image(int argc, char **argv);
int verb_gc(int argc, char **argv);
int verb_commit(int argc, char **argv);
int verb_export(int argc, char **argv);
int verb_import(int argc, char **argv);
int verb_discard(int argc, char **argv);
int verb_view(int argc, char **argv);

/* Prints a JSON value on standard output, two spaces an indent, and releases it (verbs/json.c). Returns an exit
 * status. */
struct json_t;
int print_json(struct json_t *value);
/* A JSON string of any file name: what is no UTF-8 appears as text_escape() has it. */
struct json_t *json_name(const char *name);

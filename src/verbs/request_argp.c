// SPDX-License-Identifier: GPL-3.0-or-later
/* The command line of `paddock run`, read by argp: see request.h. */
#include "verbs/request.h"
#include "verbs/verbs.h"

#include <argp.h>

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        switch (key) {
        case ARGP_KEY_ARG:
                r->command = &state->argv[state->next - 1];
                state->next = state->argc;
                return 0;
        case ARGP_KEY_END:
                if (r->name && r->file)
                        argp_error(state, "-n runs a named environment and -f a description: "
                                          "`paddock create -f FILE NAME` makes the one from the other");
                if (r->rebase && !r->name)
                        argp_error(state,
                                   "--rebase is for environments with a name (-n): others have a fresh layer always");
                if (r->rebase && r->explain)
                        argp_error(state, "--explain does nothing, and --rebase removes a layer");
                if (r->review && (r->file || r->memory || r->explain))
                        argp_error(state,
                                   "--review keeps the changes under a name: not with --file, --memory or --explain");
                if (r->memory && r->name)
                        argp_error(state, "--memory is for environments without a name");
                return 0;
        default: {
                int result = request_option(r, key, arg);
                return result == OPTION_UNKNOWN ? ARGP_ERR_UNKNOWN : -result;
        }
        }
}

static const char doc[] = "Run a program (your shell, if none is named) in a private copy of the running system.\v"
                          "Without a name the changes vanish at the end. The rule on the longest path holds; where no "
                          "rule is given, what you "
                          "could write is private and everything else read-only.\n\n"
                          "Exit status: the program's own; 127 no such program, 126 it cannot be executed, 125 paddock "
                          "failed.";

int request_argp(struct request *r, int argc, char **argv)
{
        static const struct argp_option options[] = {OPTIONS_RUN, {0}};
        static const struct argp argp = {options, parse, "[--] [COMMAND [ARGUMENT...]]", doc, 0, 0, 0};
        argp_err_exit_status = EXIT_PADDOCK;
        return -argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, r);
}

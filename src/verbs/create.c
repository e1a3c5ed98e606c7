// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock create`: a named environment from a description. */
#include "base/cleanup.h"
#include "description/description.h"
#include "model/store.h"
#include "verbs/options.h"
#include "verbs/verbs.h"

#include <argp.h>

struct request {
        const char *file, *name;
        struct environment options; /* of which only the identity can be said here */
        bool identity;
        struct error *err;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        if (key == 'f' && r->file)
                argp_error(state, "one description makes one environment: --file is given twice");
        else if (key == 'f')
                r->file = arg;
        else if (key == ARGP_KEY_ARG && r->name)
                argp_error(state, "one environment at a time");
        else if (key == ARGP_KEY_ARG)
                r->name = arg;
        else if (key == ARGP_KEY_END && !r->file && !r->name)
                argp_error(state, "which environment? Give a NAME, a description with --file, or both");
        else {
                if (key != OPTION_AS)
                        return ARGP_ERR_UNKNOWN;
                return -option_apply(&r->options, key, arg, NULL, &r->identity, r->err);
        }
        return 0;
}

/* Makes the environment that is asked for. Returns 0 or a negative errno, with the failure in `err`. */
static int create(const struct request *r, struct text *problems, struct error *err)
{
        cleanup_environment struct environment e = {0};
        cleanup_store struct store store = STORE_CLOSED;
        int result = r->file ? description_load(&e, r->file, problems, err) : 0;
        if (result < 0)
                return result;
        if (r->identity)
                e.identity = r->options.identity;
        if (r->name) {
                free(e.name);
                e.name = memory_string(r->name);
        }
        if (!e.name) {
                cleanup_free char *file = text_escape(r->file);
                error_set(err, EINVAL, "the description %s gives the environment no name", file);
                return error_remedy(err, "add `name: NAME` to it, or write `paddock create -f %s NAME`", file);
        }
        result = environment_name_check(e.name, err);
        if (result == 0)
                result = store_open(&store, err);
        return result < 0 ? result : store_create(&store, &e, err);
}

int verb_create(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"file", 'f', "FILE", 0, "the description, see paddock.yaml(5); - is the standard input", 0},
                OPTION_IDENTITY,
                {0}};
        static const struct argp argp = {
                options, parse, "[NAME]",
                "Make a named environment from a description.\v"
                "NAME replaces the name in the description. Without a description the "
                "environment is the one that `paddock run` uses by default. Nothing is printed "
                "on success; `paddock show` prints what was made.",
                0, 0, 0};
        cleanup_text struct text problems = {0};
        cleanup_error struct error err = ERROR_INIT;
        struct request r = {.err = &err};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r)) {
                if (err.code)
                        error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        if (create(&r, &problems, &err) == 0)
                return 0;
        /* Problems carry their own file and line, in the form that editors understand: nothing is put around them. */
        if (problems.length)
                fputs(problems.data, stderr);
        else
                error_print(stderr, &err);
        return EXIT_PADDOCK;
}

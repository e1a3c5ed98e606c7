// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock rm`: environments and their layers, removed. */
#include "base/cleanup.h"
#include "host/host.h"
#include "model/store.h"
#include "verbs/verbs.h"

#include <argp.h>

struct names {
        char **names;
        int count, capacity;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct names *n = state->input;
        if (key == ARGP_KEY_ARG)
                *vector_add(n->names, n->count, n->capacity) = arg;
        else if (key == ARGP_KEY_NO_ARGS)
                argp_error(state, "which environment?");
        else
                return ARGP_ERR_UNKNOWN;
        return 0;
}

int verb_rm(int argc, char **argv)
{
        static const struct argp argp = {NULL,
                                         parse,
                                         "NAME...",
                                         "Remove environments with everything that was changed in them.\v"
                                         "Nothing of the main system is touched. One that runs is not removed.",
                                         0,
                                         0,
                                         0};
        struct names n = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &n))
                return EXIT_PADDOCK;
        cleanup_free char **names = n.names;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_store struct store store = {.fd = -1, .remove = host_remove_tree};
        int result = store_open(&store, &err), status = 0;
        if (result < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        for (int i = 0; i < n.count; i++)
                if (store_remove(&store, names[i], &err) < 0) {
                        error_print(stderr, &err);
                        error_clear(&err);
                        status = EXIT_PADDOCK;
                }
        return status;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock gc`: frozen layers that nothing holds any more, removed. */
#include "base/cleanup.h"
#include "host/host.h"
#include "model/chain.h"
#include "verbs/verbs.h"

#include <argp.h>

static error_t parse(int key, char *arg, struct argp_state *state)
{
        (void)arg;
        if (key == ARGP_KEY_ARG)
                argp_error(state, "it takes no arguments");
        return ARGP_ERR_UNKNOWN;
}

int verb_gc(int argc, char **argv)
{
        static const struct argp argp = {NULL, parse, NULL,
                                         "Remove layers that no environment and no snapshot holds any more.\v"
                                         "They are left when environments are removed, reset or discarded.", 0, 0, 0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, NULL))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_store struct store store = {.fd = -1, .remove = host_remove_tree};
        int count = store_open(&store, &err);
        if (count == 0)
                count = chain_collect(&store, &err);
        if (count < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        printf("%d layer%s removed\n", count, count == 1 ? "" : "s");
        return 0;
}

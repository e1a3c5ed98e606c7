// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock list`: the named environments. */
#include "base/cleanup.h"
#include "model/store.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <jansson.h>

static error_t parse(int key, char *arg, struct argp_state *state)
{
        (void)arg;
        if (key == 'j')
                *(bool *)state->input = true;
        else if (key == ARGP_KEY_ARG)
                argp_error(state, "it takes no arguments");
        else
                return ARGP_ERR_UNKNOWN;
        return 0;
}

int verb_list(int argc, char **argv)
{
        static const struct argp_option options[] = {{"json", 'j', NULL, 0, "print JSON", 0}, {0}};
        static const struct argp argp = {options, parse, NULL, "List the named environments and whether they run.", 0, 0, 0};
        bool json = false;
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &json))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_store struct store store = STORE_CLOSED;
        char **names = NULL;
        int count = store_open(&store, &err);
        if (count == 0)
                count = store_list(&store, &names, &err);
        if (count < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        json_t *array = json ? json_array() : NULL;
        if (!json && count)
                printf("%-24s %s\n", "NAME", "STATE");
        for (int i = 0; names && i < count; i++) {
                cleanup_error struct error vanished = ERROR_INIT; /* removed since it was listed */
                int running = store_is_running(&store, names[i], &vanished);
                if (running < 0)
                        continue;
                if (json)
                        json_array_append_new(array, json_pack("{s:s, s:s}", "name", names[i], "state",
                                                               running ? "running" : "stopped"));
                else
                        printf("%-24s %s\n", names[i], running ? "running" : "stopped");
        }
        store_list_free(names, count);
        return json ? print_json(array) : 0;
}

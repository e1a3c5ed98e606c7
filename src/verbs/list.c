// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock list`: the named environments. */
#include "base/cleanup.h"
#include "host/host.h"
#include "layer/size.h"
#include "model/store.h"
#include "verbs/changes.h"
#include "verbs/granted.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <jansson.h>

struct request {
        bool json, size;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        (void)arg;
        if (key == 'j')
                r->json = true;
        else if (key == 's')
                r->size = true;
        else if (key == ARGP_KEY_ARG)
                argp_error(state, "it takes no arguments");
        else
                return ARGP_ERR_UNKNOWN;
        return 0;
}

/* Its limit, or 0. */
static uint64_t limit_of(struct store *store, const char *name)
{
        cleanup_error struct error unheard = ERROR_INIT;
        cleanup_environment struct environment e = {0};
        return store_load(store, name, &e, &unheard) == 0 ? e.limits.value[LIMIT_DISK] : 0;
}

static void list_one(const struct request *r, struct store *store, const char *name, json_t *array)
{
        cleanup_error struct error vanished = ERROR_INIT; /* removed since it was listed */
        const char *state = store_state(store, name, &vanished);
        if (!state)
                return;
        struct layer_size size = {0};
        if (r->size) {
                cleanup_close int dir = store_open_environment(store, name, &vanished);
                if (dir >= 0)
                        layer_size(dir, &size, &vanished);
        }
        uint64_t limit = r->size ? limit_of(store, name) : 0;
        if (array) {
                json_t *one = json_pack("{s:s, s:s}", "name", name, "state", state);
                if (r->size) {
                        json_object_set_new(one, "size", json_integer((json_int_t)size.own));
                        json_object_set_new(one, "shared", json_integer((json_int_t)size.shared));
                        json_object_set_new(one, "limit", limit ? json_integer((json_int_t)limit) : json_null());
                }
                json_array_append_new(array, one);
        } else if (r->size) {
                cleanup_text struct text own = {0}, shared = {0};
                changes_size(&own, size.own);
                changes_size(&shared, size.shared);
                cleanup_text struct text most = {0};
                if (limit)
                        changes_size(&most, limit);
                printf("%-24s %-8s %12s %12s  %s%s\n", name, state, own.data, shared.data, limit ? most.data : "-",
                       limit && size.own > limit ? ", which is passed" : "");
        } else {
                printf("%-24s %s\n", name, state);
        }
}

int verb_list(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"json", 'j', NULL, 0, "print JSON", 0},
                {"size", 's', NULL, 0, "with the size of each layer, and of what it shares", 0}, {0}};
        static const struct argp argp = {options, parse, NULL, "List the named environments and whether they run.",
                                         0,       0,     0};
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_store struct store store = {.fd = -1, .remove = host_remove_tree};
        char **names = NULL;
        int count = store_open(&store, &err);
        if (count == 0)
                granted_sweep(&store);
        if (count == 0)
                count = store_list(&store, &names, &err);
        if (count < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        json_t *array = r.json ? json_array() : NULL;
        if (!r.json && count && r.size)
                printf("%-24s %-8s %12s %12s  %s\n", "NAME", "STATE", "SIZE", "SHARED", "LIMIT (watched)");
        else if (!r.json && count)
                printf("%-24s %s\n", "NAME", "STATE");
        if (r.size)
                host_read_everything();
        for (int i = 0; names && i < count; i++)
                list_one(&r, &store, names[i], array);
        store_list_free(names, count);
        return r.json ? print_json(array) : 0;
}

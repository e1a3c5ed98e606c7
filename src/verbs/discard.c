// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock discard`: changes of an environment, thrown away. */
#include "base/cleanup.h"
#include "layer/discard.h"
#include "verbs/changes.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <string.h>

struct request {
        const char *name;
        char **paths;
        int path_count;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        return changes_argument(key, arg, state, &r->name, &r->paths, &r->path_count);
}

/* Takes it out of the layer into `holder`. */
static int take(struct request *r, struct changes *c, int holder, struct error *err)
{
        int missing = 0;
        for (size_t i = 0; i < c->path_count; i++) {
                int result = layer_discard(&c->layer, c->paths[i], holder, err);
                if (result < 0)
                        return result;
                if (result == 0) {
                        cleanup_free char *shown = text_escape(c->paths[i]);
                        fprintf(stderr, "paddock: environment '%s' has no change at or below %s\n", r->name, shown);
                        missing++;
                }
        }
        int result = layer_settle(&c->layer, holder, err);
        if (result == 0 && missing)
                return error_set(err, ENOENT, "the rest was discarded; `paddock diff %s` lists what there is", r->name);
        return result;
}

struct work {
        struct request *r;
        struct changes *c;
        int holder;
};

static int take_all(void *context)
{
        const struct work *w = context;
        cleanup_error struct error err = ERROR_INIT;
        if (take(w->r, w->c, w->holder, &err) == 0)
                return 0;
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}

static int discard(void *request, struct changes *c, struct error *err)
{
        struct request *r = request;
        int result = changes_open_paths(c, r->name, r->paths, r->path_count, err), locks[2] = {-1, -1};
        if (result == 0)
                result = store_hold(&c->store, r->name, locks,
                                    "the kernel does not allow to change a layer while it is in use", err);
        if (result == 0 && r->path_count)
                result = changes_reopen(c, err);
        if (result < 0)
                return result;
        cleanup_close int setup = locks[0], lock = locks[1], alive = -1;
        (void)setup;
        (void)lock;
        if (!r->path_count)
                return store_discard_layer(&c->store, c->directory, err);
        cleanup_free char *scratch = NULL;
        cleanup_close int holder = store_scratch(&c->store, &scratch, &alive, err);
        if (holder < 0)
                return holder;
        struct work work = {r, c, holder};
        result = changes_inside(c, take_all, &work, err); /* a program may have taken permissions away from itself */
        cleanup_error struct error left = ERROR_INIT;
        /* What is out of the layer is discarded, even if some of it cannot be removed now: a later start tries
         * again. */
        if (store_scratch_remove(&c->store, scratch, &left) < 0)
                error_print(stderr, &left);
        return result;
}

int verb_discard(int argc, char **argv)
{
        static const struct argp_option options[] = {{0}};
        static const struct argp argp = {
                options, parse, "NAME [PATH...]",
                "Throw away what an environment has changed.\v"
                "With PATHs: only what is at or below them. The names are then as they are outside. "
                "An environment that runs is refused.",
                0, 0, 0};
        struct request r = {0};
        return changes_verb(argc, argv, &argp, &r, discard);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock revoke`: rights are taken back. When it ends with success nothing of them is usable any more. */
#include "base/cleanup.h"
#include "base/path.h"
#include "model/kept.h"
#include "verbs/channel.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <limits.h>
#include <string.h>

enum { OPTION_ALL = 0x100, OPTION_TO };

struct request {
        const char *name, *resource, *to;
        bool all;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        switch (key) {
        case OPTION_ALL:
                r->all = true;
                return 0;
        case OPTION_TO:
                r->to = arg;
                return 0;
        case ARGP_KEY_ARG:
                if (r->name && r->resource)
                        argp_error(state, "one resource at a time");
                *(r->name ? &r->resource : &r->name) = arg;
                return 0;
        case ARGP_KEY_END:
                if (!r->name)
                        argp_error(state, "which environment?");
                if (!r->resource == !r->all)
                        argp_error(state, r->all ? "--all or a resource" : "which resource? --all means every one");
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static bool is_path(const char *text)
{
        return strchr(text, '/') || strcmp(text, ".") == 0 || strcmp(text, "..") == 0 || text[0] == '~';
}

static bool is_number(const char *text)
{
        return *text && !text[strspn(text, "0123456789")];
}

/* The canonical name, as it was granted; what is gone outside keeps the name that it had. Fresh memory. */
static char *name_of(const char *text)
{
        cleanup_free char *path = granting_path(text);
        char *real = realpath(path, NULL);
        return real ? real : path_clean("/", path);
}

static int ask(struct granting *g, const struct request *r, const char *path, struct error *err)
{
        struct message_out *m = client_begin(&g->client, MESSAGE_REVOKE);
        cleanup_free char *by = granting_user();
        message_text(m, TAG_BY, by);
        message_text(m, TAG_TO, r->to);
        if (path)
                message_text(m, TAG_RESOURCE, path);
        else if (r->resource && is_number(r->resource))
                message_number(m, TAG_GRANT, strtoull(r->resource, NULL, 10));
        else if (r->resource)
                message_text(m, TAG_SET, r->resource);
        return client_call(&g->client, NULL, 0, err);
}

/* Removes what the environment keeps from one start to the next; returns how many. */
static int forget(struct granting *g, const struct request *r, const char *path, struct error *err)
{
        cleanup_grant_list struct grant_list kept = {0}, left = {0};
        int result = kept_load(g->directory, &kept, err), removed = r->all ? channels_forget(g, NULL, err) : 0;
        if (removed < 0)
                return removed;
        bool changed = false;
        for (size_t i = 0; result == 0 && i < kept.count; i++) {
                const struct grant *one = &kept.grants[i];
                bool meant = r->all || (path ? strcmp(one->resource, path) == 0 || strcmp(grant_inside(one), path) == 0
                                             : one->set && r->resource && strcmp(one->set, r->resource) == 0);
                if (meant && r->to)
                        meant = one->to && strcmp(one->to, r->to) == 0;
                removed += meant;
                changed |= meant;
                if (!meant)
                        result = grant_list_add(&left, one, err);
        }
        if (result == 0 && changed)
                result = kept_save(g->directory, &left, err);
        return result < 0 ? result : removed;
}

static int not_granted(const struct granting *g, const struct request *r, struct error *err)
{
        const char *what = r->resource ? r->resource : "";
        cleanup_free char *shown = text_escape(what);
        error_set(err, ENOENT, "environment '%s' has no grant %s%s", g->name,
                  is_path(what)     ? "of "
                  : is_number(what) ? ""
                                    : "of the set ",
                  shown);
        return error_remedy(err, "`paddock grants %s` lists what it has", g->name);
}

static int take_back(struct granting *g, const struct request *r, struct error *err)
{
        cleanup_free char *path = r->resource && is_path(r->resource) ? name_of(r->resource) : NULL;
        if (g->client.socket < 0) {
                int removed = forget(g, r, path, err);
                if (removed == 0 && !r->all)
                        return not_granted(g, r, err);
                if (removed >= 0)
                        printf("%s: %d kept for the next start, and not any more\n", g->name, removed);
                return removed < 0 ? removed : 0;
        }
        int result = ask(g, r, path, err);
        if (result == -ENOENT && path) { /* by the name as it was written: a link inside, or a name that was a link */
                cleanup_free char *written = granting_path(r->resource), *clean = path_clean("/", written);
                if (strcmp(clean, path) != 0) {
                        error_clear(err);
                        result = ask(g, r, clean, err);
                }
        }
        if (result == -ENOENT) {
                error_clear(err);
                return not_granted(g, r, err);
        }
        if (result < 0)
                return result;
        uint64_t count = 0, lost = 0;
        message_get_number(&g->client.answer, TAG_COUNT, &count);
        message_get_number(&g->client.answer, TAG_LOST, &lost);
        if ((r->all || (path && strncmp(path, CHANNEL_PLACE "/", strlen(CHANNEL_PLACE "/")) == 0)) &&
            (result = channels_forget(g, r->all ? NULL : path + strlen(CHANNEL_PLACE "/"), err)) < 0)
                return result;
        printf("%s: %llu revoked\n", g->name, (unsigned long long)count);
        if (lost)
                fprintf(stderr, "paddock: %llu bytes were on their way and were lost\n", (unsigned long long)lost);
        return 0;
}

int verb_revoke(int argc, char **argv)
{
        static const struct argp_option options[] = {{"all", OPTION_ALL, NULL, 0,
                                                      "everything but what the description has locked", 0},
                                                     {"to", OPTION_TO, "IDENTITY", 0, "what this user inside has", 0},
                                                     {0}};
        static const struct argp argp =
                {options,
                 parse,
                 "NAME RESOURCE|ID|SET\nNAME --all",
                 "Take rights of an environment back.\v"
                 "RESOURCE is a name outside or inside. When this ends, open files and mappings, connections and "
                 "programs that run from it have ended too; what was given --plain only has no name any more.",
                 0,
                 0,
                 0};
        cleanup_error struct error err = ERROR_INIT;
        cleanup_granting struct granting g = GRANTING_INIT;
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        int result = granting_open(&g, r.name, &err);
        if (result == 0)
                result = take_back(&g, &r, &err);
        if (result < 0)
                error_print(stderr, &err);
        return result < 0 ? EXIT_PADDOCK : 0;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock grant`: a right on something outside, for an environment that runs. */
#include "base/cleanup.h"
#include "base/path.h"
#include "host/resource.h"
#include "model/kept.h"
#include "verbs/granting.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <string.h>
#include <time.h>

enum {
        OPTION_AT = 0x100,
        OPTION_TO,
        OPTION_FOR,
        OPTION_UNTIL,
        OPTION_ONCE,
        OPTION_NO_EXEC,
        OPTION_PLAIN,
        OPTION_KEEP,
        OPTION_AGAIN
};

struct request {
        const char *name, *resource, *mode;
        struct grant options;
        bool again;
        struct error err;
};

static error_t parse_argument(struct request *r, char *arg, struct argp_state *state)
{
        if (!r->name)
                r->name = arg;
        else if (!r->resource)
                r->resource = arg;
        else if (r->mode)
                argp_error(state, "one resource at a time");
        else if (mode_from_word(arg) < 0)
                argp_error(state, "'%s' is no mode: ro or rw", arg);
        else
                r->mode = arg;
        return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        struct grant *g = &r->options;
        int result = 0;
        switch (key) {
        case OPTION_AT:
                g->inside = arg;
                break;
        case OPTION_TO:
                g->to = arg;
                result = grant_identity_check(arg, &r->err);
                break;
        case OPTION_FOR:
        case OPTION_UNTIL:
                if (g->expiry != EXPIRY_NEVER)
                        argp_error(state, "--for and --until exclude each other");
                g->expiry = key == OPTION_FOR ? EXPIRY_SPAN : EXPIRY_TIME;
                result = key == OPTION_FOR ? grant_parse_span(arg, &g->seconds, &r->err)
                                           : grant_parse_time(arg, time(NULL), &g->seconds, &r->err);
                break;
        case OPTION_ONCE:
                g->once = true;
                break;
        case OPTION_NO_EXEC:
                g->noexec = true;
                break;
        case OPTION_PLAIN:
                g->plain = true;
                break;
        case OPTION_KEEP:
                g->keep = true;
                break;
        case OPTION_AGAIN:
                r->again = true;
                break;
        case ARGP_KEY_ARG:
                return parse_argument(r, arg, state);
        case ARGP_KEY_END:
                if (!r->name || (!r->resource && !r->again))
                        argp_error(state, r->name ? "which resource?" : "which environment?");
                if (g->plain && g->once)
                        argp_error(state, "--once needs a revocable grant: who uses a plain one is not seen");
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
        if (result < 0) {
                error_print(stderr, &r->err);
                exit(EXIT_PADDOCK);
        }
        return 0;
}

/* What is meant: a path, or every member of a set. */
static int wanted(const struct request *r, struct grant_list *list, struct error *err)
{
        cleanup_grant struct grant one;
        grant_copy(&one, &r->options);
        one.writable = r->mode && mode_from_word(r->mode) == 1;
        if (strchr(r->resource, '/') || strcmp(r->resource, ".") == 0 || strcmp(r->resource, "..") == 0 ||
            r->resource[0] == '~') {
                one.resource = granting_path(r->resource);
                return grant_list_add(list, &one, err);
        }
        cleanup_grant_sets struct grant_sets sets = {0};
        const struct grant_list *members;
        int result = granting_sets(&sets, err);
        if (result == 0)
                result = grant_sets_find(&sets, r->resource, &members, err);
        if (result == 0 && (r->mode || one.inside))
                return error_set(err, EINVAL, "the set '%s' says itself what it grants: no mode and no --at with it",
                                 r->resource);
        for (size_t i = 0; result == 0 && i < members->count; i++) {
                cleanup_grant struct grant member;
                grant_copy(&member, &members->grants[i]);
                member.once |= one.once;
                member.noexec |= one.noexec;
                member.plain |= one.plain;
                member.keep |= one.keep;
                if (one.expiry != EXPIRY_NEVER) {
                        member.expiry = one.expiry;
                        member.seconds = one.seconds;
                }
                if (one.to) {
                        free(member.to);
                        member.to = memory_string(one.to);
                }
                result = grant_list_add(list, &member, err);
        }
        return result;
}

/* It is not started: kept for when it is. */
static int keep(struct granting *g, const struct grant_list *list, struct error *err)
{
        cleanup_grant_list struct grant_list kept = {0};
        cleanup_free char *state = store_path();
        int result = kept_load(g->directory, &kept, err);
        for (size_t i = 0; result == 0 && i < list->count; i++) {
                cleanup_grant struct grant one;
                cleanup_resource struct resource resource = RESOURCE_NONE;
                cleanup_free char *path = granting_path(list->grants[i].resource);
                grant_copy(&one, &list->grants[i]);
                result = host_resource_open(&resource, path, one.writable, state, err);
                if (result < 0)
                        break;
                free(one.resource);
                one.resource = memory_string(resource.path);
                one.kind = resource.kind;
                if (one.inside) {
                        cleanup_free char *place = granting_path(one.inside);
                        free(one.inside);
                        one.inside = path_clean("/", place);
                }
                result = grant_list_add(&kept, &one, err);
                cleanup_free char *line = granting_line(&one);
                if (result == 0)
                        printf("%s: %s, from the next start on\n", g->name, line);
        }
        return result < 0 ? result : kept_save(g->directory, &kept, err);
}

static int give_all(struct granting *g, const struct grant_list *list, struct error *err)
{
        cleanup_free char *by = granting_user();
        for (size_t i = 0; i < list->count; i++) {
                int result = granting_give(g, &list->grants[i], by, NULL, err);
                if (result < 0) {
                        cleanup_free char *shown = text_escape(list->grants[i].resource);
                        return list->count > 1 ? error_context(err, "%s", shown) : result;
                }
                cleanup_grant struct grant given;
                cleanup_resource struct resource resource = RESOURCE_NONE;
                cleanup_error struct error ignored = ERROR_INIT; /* it was looked at just now */
                grant_copy(&given, &list->grants[i]);
                cleanup_free char *path = granting_path(given.resource);
                if (host_resource_open(&resource, path, false, NULL, &ignored) == 0) {
                        free(given.resource);
                        given.resource = memory_string(resource.path);
                        given.kind = resource.kind;
                }
                if (given.expiry == EXPIRY_SPAN) {
                        given.expiry = EXPIRY_TIME;
                        given.seconds += time(NULL);
                }
                cleanup_free char *line = granting_line(&given);
                printf("%s: %s\n", g->name, line);
        }
        return 0;
}

int verb_grant(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"at", OPTION_AT, "PATH", 0, "its name inside (the same as outside)", 0},
                {"to", OPTION_TO, "IDENTITY", 0, "for this user inside only", 0},
                {"for", OPTION_FOR, "TIME", 0, "it ends after that time: 90s, 15m, 1h30m, 2d", 0},
                {"until", OPTION_UNTIL, "TIME", 0, "it ends then: 18:30, 2027-01-31, \"2027-01-31 18:30\"", 0},
                {"once", OPTION_ONCE, NULL, 0, "it ends with the first program (or connection) that uses it", 0},
                {"no-exec", OPTION_NO_EXEC, NULL, 0, "nothing in it can be executed", 0},
                {"plain", OPTION_PLAIN, NULL, 0, "natively: faster, and what is open stays open when it is revoked", 0},
                {"keep", OPTION_KEEP, NULL, 0, "at later starts as well", 0},
                {"again", OPTION_AGAIN, NULL, OPTION_HIDDEN, "what the description and --keep say", 0},
                {0}};
        static const struct argp argp =
                {options,
                 parse,
                 "NAME RESOURCE [ro|rw]",
                 "Give a running environment a right on a file, a directory tree or a UNIX socket outside, or on what "
                 "a named set holds (a RESOURCE without a slash; paddock.yaml(5) tells how to define one).\v"
                 "It can be taken back at any time with `paddock revoke`, and then what is open ends too, unless it "
                 "was given --plain. `paddock grants` lists what an environment holds.",
                 0,
                 0,
                 0};
        cleanup_error struct error err = ERROR_INIT;
        cleanup_granting struct granting g = GRANTING_INIT;
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_grant_list struct grant_list list = {0};
        int result = granting_open(&g, r.name, &err);
        if (result == 0 && r.again) {
                result = granting_needs_warden(&g, &err);
                if (result == 0)
                        return granting_again(&g) < 0 ? EXIT_PADDOCK : 0;
        }
        if (result == 0)
                result = wanted(&r, &list, &err);
        if (result == 0 && g.client.socket < 0 && r.options.keep)
                result = keep(&g, &list, &err);
        else if (result == 0 && (result = granting_needs_warden(&g, &err)) == 0)
                result = give_all(&g, &list, &err);
        if (result < 0)
                error_print(stderr, &err);
        return result < 0 ? EXIT_PADDOCK : fflush(stdout) == EOF ? EXIT_PADDOCK : 0;
}

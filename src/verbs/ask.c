// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock ask`: a right that is asked for when it is used. */
#include "base/cleanup.h"
#include "verbs/answer.h"
#include "verbs/granting.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <string.h>

enum { OPTION_LISTEN = 'l', OPTION_AT = 0x100, OPTION_TO, OPTION_NO_EXEC, OPTION_PLAIN };

struct request {
        char **words;
        size_t count, capacity;
        bool listen;
        struct grant options;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        cleanup_error struct error err = ERROR_INIT;
        switch (key) {
        case OPTION_LISTEN:
                r->listen = true;
                return 0;
        case OPTION_AT:
                r->options.inside = arg;
                return 0;
        case OPTION_TO:
                r->options.to = arg;
                if (grant_identity_check(arg, &err) < 0)
                        argp_error(state, "%s", err.text);
                return 0;
        case OPTION_NO_EXEC:
                r->options.noexec = true;
                return 0;
        case OPTION_PLAIN:
                r->options.plain = true;
                return 0;
        case ARGP_KEY_ARG:
                *vector_add(r->words, r->count, r->capacity) = arg;
                return 0;
        case ARGP_KEY_END:
                if (!r->listen && (r->count < 2 || r->count > 3))
                        argp_error(state, r->count == 0   ? "which environment?"
                                          : r->count == 1 ? "which resource?"
                                                          : "one resource at a time");
                if (!r->listen && r->count == 3 && mode_from_word(r->words[2]) < 0)
                        argp_error(state, "'%s' is no mode: ro or rw", r->words[2]);
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static int ask(const struct request *r, struct error *err)
{
        cleanup_granting struct granting g = GRANTING_INIT;
        cleanup_grant struct grant grant;
        cleanup_free char *by = granting_user();
        grant_copy(&grant, &r->options);
        grant.resource = granting_path(r->words[1]);
        grant.writable = r->count == 3 && mode_from_word(r->words[2]) == 1;
        int result = granting_open(&g, r->words[0], err);
        if (result == 0 && g.client.socket < 0) {
                error_set(err, ESRCH, "environment '%s' is not started", g.name);
                result = error_remedy(err, "`paddock start %s` starts it", g.name);
        }
        return result < 0 ? result : granting_ask(&g, &grant, by, err);
}

int verb_ask(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"listen", OPTION_LISTEN, NULL, 0, "answer the questions of these environments, or of all that run", 0},
                {"at", OPTION_AT, "PATH", 0, "its name inside (the same as outside)", 1},
                {"to", OPTION_TO, "IDENTITY", 0, "for this user inside only", 1},
                {"no-exec", OPTION_NO_EXEC, NULL, 0, "nothing in it can be executed", 1},
                {"plain", OPTION_PLAIN, NULL, 0, "natively: faster, and what is open stays open when it is revoked", 1},
                {0}};
        static const struct argp argp =
                {options,
                 parse,
                 "NAME RESOURCE [ro|rw]\n--listen [NAME...]",
                 "Have a running environment ask for a right on a file or directory tree at the first use of it.\v"
                 "Who uses it waits, up to a minute, until somebody answers in `paddock ask --listen`: yes for this "
                 "program, for this run, or always; or no. No answer is a no.",
                 0,
                 0,
                 0};
        cleanup_error struct error err = ERROR_INIT;
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        if (r.listen)
                return answer_questions(r.words, r.count);
        if (ask(&r, &err) == 0)
                return 0;
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}

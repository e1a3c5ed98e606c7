// SPDX-License-Identifier: GPL-3.0-or-later
/* The verbs that `paddock` does itself, as argp reads them: help, mistakes and abbreviations. What is in order is
 * executed with words that `paddock` understands without argp. */
#include "base/cleanup.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <string.h>

struct words {
        char **words; /* as `paddock` is to get them */
        size_t count, capacity;
        const char *name, *user;
        char **command;
};

int execute_paddock(char **argv)
{
        static const char *const places[] = {"/paddock", "/../../bin/paddock", NULL};
        char self[4097];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        self[n > 0 ? n : 0] = '\0';
        char *slash = strrchr(self, '/');
        if (slash)
                *slash = '\0';
        for (const char *const *place = places; slash && *place; place++) {
                cleanup_free char *path = memory_format("%s%s", self, *place);
                execv(path, argv);
        }
        fprintf(stderr, "paddock: cannot execute paddock itself: %s\n", strerror(errno));
        return EXIT_PADDOCK;
}

static void add(struct words *w, const char *word)
{
        *vector_add(w->words, w->count, w->capacity) = (char *)word;
}

static error_t parse_start(int key, char *arg, struct argp_state *state)
{
        struct words *w = state->input;
        if (key == ARGP_KEY_ARG && !w->name)
                w->name = arg;
        else if (key == ARGP_KEY_ARG)
                argp_error(state, "one environment at a time");
        else if (key == ARGP_KEY_NO_ARGS)
                argp_error(state, "which environment?");
        else
                return ARGP_ERR_UNKNOWN;
        return 0;
}

int verb_start_words(int argc, char **argv)
{
        static const struct argp argp = {
                NULL,
                parse_start,
                "NAME",
                "Start a named environment in the background, with the programs that its description lists "
                "under `run`.\v"
                "It lives until `paddock stop`. `paddock enter` runs programs in it.",
                0,
                0,
                0};
        struct words w = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &w))
                return EXIT_PADDOCK;
        if (w.name[0] == '-') {
                fprintf(stderr, "paddock: '%s' cannot name an environment\n", w.name);
                return EXIT_PADDOCK;
        }
        add(&w, "paddock");
        add(&w, "start");
        add(&w, w.name);
        add(&w, NULL);
        return execute_paddock(w.words);
}

static error_t parse_enter(int key, char *arg, struct argp_state *state)
{
        struct words *w = state->input;
        switch (key) {
        case 'a':
                if (!*arg)
                        argp_error(state, "--as takes a user's name or number");
                w->user = arg;
                return 0;
        case ARGP_KEY_ARG:
                if (!w->name) {
                        w->name = arg;
                        return 0;
                }
                w->command = &state->argv[state->next - 1];
                state->next = state->argc;
                return 0;
        case ARGP_KEY_END:
                if (!w->name)
                        argp_error(state, "which environment?");
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

int verb_enter_words(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"as", 'a', "USER", 0, "be this user of the environment (a name of its /etc/passwd, or a number)", 0},
                {0}};
        static const struct argp argp = {
                options,
                parse_enter,
                "NAME [--] [COMMAND [ARGUMENT...]]",
                "Run a program (your shell, if none is named) in an environment that was started.\v"
                "Any number at a time. It sees what all others there see, and ends with the terminal or "
                "with `paddock stop`.\n\n"
                "Exit status: the program's own; 127 no such program, 126 it cannot be executed, 125 paddock "
                "failed.",
                0,
                0,
                0};
        struct words w = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &w))
                return EXIT_PADDOCK;
        if (w.name[0] == '-') {
                fprintf(stderr, "paddock: '%s' cannot name an environment\n", w.name);
                return EXIT_PADDOCK;
        }
        add(&w, "paddock");
        add(&w, "enter");
        if (w.user) {
                add(&w, "--as");
                add(&w, w.user);
        }
        add(&w, w.name);
        add(&w, "--");
        for (; w.command && *w.command; w.command++)
                add(&w, *w.command);
        add(&w, NULL);
        return execute_paddock(w.words);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock-verbs`: every verb but the plain `run`, with the libraries that they need. */
#include "verbs/verbs.h"

#include "base/cleanup.h"
#include "config.h"
#include "description/description.h"
#include "verbs/explain.h"
#include "verbs/granted.h"
#include "verbs/review.h"
#include "verbs/request.h"
#include "verbs/watch.h"

#include <string.h>

static int run_with_library(int argc, char **argv)
{
        static const struct library library = {.parse = request_argp,
                                               .load = description_load,
                                               .explain = explain_json,
                                               .watch = watch_start,
                                               .watched = watch_end,
                                               .review = review,
                                               .granted = granted};
        return verb_run(argc, argv, &library);
}

static const struct verb {
        const char *word;
        int (*run)(int argc, char **argv);
        const char *summary;
} verbs[] = {
        {"run", run_with_library, "run a program in a private copy of this system"},
        {"start", verb_start_words, "start a named environment in the background"},
        {"stop", verb_stop, "end environments and everything that runs in them"},
        {"restart", verb_restart, "stop an environment and start it again"},
        {"enter", verb_enter_words, "run a program in an environment that was started"},
        {"ps", verb_ps, "show the processes of an environment"},
        {"view", verb_view, "list the rules of a view, and change them while it runs"},
        {"logs", verb_logs, "print what the programs in the background wrote"},
        {"top", verb_top, "watch the environments that run, and their processes"},
        {"wait", verb_wait, "wait for the programs in the background to end"},
        {"grant", verb_grant, "give a running environment a right on a file, tree or socket outside"},
        {"revoke", verb_revoke, "take such a right back, with what is open"},
        {"ask", verb_ask, "have a right asked for at its first use; answer such questions"},
        {"grants", verb_grants, "show what an environment was granted"},
        {"create", verb_create, "make a named environment from a description"},
        {"list", verb_list, "list the named environments"},
        {"show", verb_show, "print the description that reproduces an environment"},
        {"rm", verb_rm, "remove environments and what they changed"},
        {"diff", verb_diff, "tell what an environment has changed"},
        {"commit", verb_commit, "carry changes of an environment to the outside"},
        {"discard", verb_discard, "throw away what an environment has changed"},
        {"snapshot", verb_snapshot, "keep the state of an environment under a name"},
        {"reset", verb_reset, "take an environment back to a snapshot"},
        {"clone", verb_clone, "make another environment with the same changes"},
        {"export", verb_export, "write a whole environment into one file"},
        {"import", verb_import, "restore an environment from such a file"},
        {"gc", verb_gc, "remove layers that nothing holds any more"},
        {"boot", verb_boot, "start another system beside this one"},
        {"channel", verb_channel, "link a running environment with the outside, or with another one"},
        {"servers", verb_servers, "show who answers the roles of an environment"},
        {"serve", verb_serve, "let a program answer a role of a running environment"},
        {"console", verb_console, "look at the console of such a system, and type on it"},
        {"image", verb_image, "make, list and remove root file systems to begin from"},
        {"doctor", verb_doctor, "tell what this machine can do, and the remedy for what it cannot"},
};
#define VERBS (sizeof verbs / sizeof *verbs)

static int usage(FILE *out, int status)
{
        fprintf(out, "Usage: paddock VERB [OPTION...] [ARGUMENT...]\n"
                     "Private copies of the running system, without root.\n\n");
        for (size_t i = 0; i < VERBS; i++)
                fprintf(out, "  %-8s %s\n", verbs[i].word, verbs[i].summary);
        fprintf(out, "\n`paddock VERB --help` tells the options of a verb; paddock(1) is the manual.\n");
        return status;
}

int main(int argc, char **argv)
{
        if (argc < 2)
                return usage(stderr, EXIT_PADDOCK);
        const char *words[VERBS + 1] = {0};
        for (size_t i = 0; i < VERBS; i++) {
                words[i] = verbs[i].word;
                if (strcmp(argv[1], verbs[i].word) == 0) {
                        cleanup_free char *name = memory_format("paddock %s", argv[1]);
                        argv[1] = name;
                        return verbs[i].run(argc - 1, argv + 1);
                }
        }
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "-h") == 0)
                return usage(stdout, 0);
        if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
                printf("paddock %s\n", PADDOCK_VERSION);
                return 0;
        }
        cleanup_free char *shown = text_escape(argv[1]);
        const char *near = text_nearest(argv[1], words);
        fprintf(stderr, "paddock: there is no verb '%s'\n", shown);
        if (near)
                fprintf(stderr, "paddock: did you mean '%s'?\n", near);
        else
                fprintf(stderr, "paddock: `paddock --help` lists the verbs\n");
        return EXIT_PADDOCK;
}

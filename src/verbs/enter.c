// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock enter`: a program in an environment that runs. See enter.h. */
#include "verbs/enter.h"

#include "base/cleanup.h"
#include "host/living.h"
#include "verbs/verbs.h"
#include "warden/client.h"

#include <string.h>

/* 1, 0 or a negative errno, as enter_running(). */
static int enter_through(int directory, const char *name, char **command, const char *user, struct outcome *outcome,
                         struct error *err)
{
        cleanup_client struct client c;
        int result = client_open(&c, directory, err);
        if (result == -ECONNREFUSED || result == -ENOENT)
                return err->code ? result : 0;
        if (result < 0)
                return error_context(err, "environment '%s'", name);
        char *fallback[] = {run_shell(), NULL};
        if (!command)
                command = fallback;
        struct entering e;
        result = host_enter_prepare(&e, command, user, err);
        if (result == 0) {
                struct message_out *m = client_begin(&c, MESSAGE_ENTER);
                message_number(m, TAG_STREAMS, e.stream_bits);
                message_number(m, TAG_TERMINAL, e.terminal_bits);
                cleanup_text struct text title = {0};
                for (size_t i = 0; command[i] && title.length < 200; i++) {
                        text_add(&title, i ? " " : "");
                        text_add_escaped(&title, command[i]);
                }
                message_bytes(m, TAG_COMMAND, title.data, title.length < 1000 ? title.length : 1000);
                int fds[5] = {e.session, e.payload};
                memcpy(fds + 2, e.streams, e.stream_count * sizeof *fds);
                result = client_call(&c, fds, 2 + e.stream_count, err);
        }
        if (result < 0) {
                host_enter_forget(&e);
                return error_context(err, "environment '%s'", name);
        }
        client_close(&c); /* its memory is not needed while the program runs */
        result = host_enter_watch(&e, outcome, err);
        return result < 0 ? result : 1;
}

int enter_running(const char *name, char **command, const char *user, struct outcome *outcome, struct error *err)
{
        cleanup_error struct error missing = ERROR_INIT;
        cleanup_store struct store store = STORE_CLOSED;
        cleanup_close int directory =
                store_open_existing(&store, &missing) < 0 ? -1 : store_open_environment(&store, name, &missing);
        return directory < 0 ? 0 : enter_through(directory, name, command, user, outcome, err);
}

int enter_started(struct session *s, char **command, const char *user, struct outcome *outcome, struct error *err)
{
        close(s->setup);
        close(s->alive);
        s->setup = s->alive = -1;
        int result = enter_through(s->directory, s->name, command, user, outcome, err);
        if (result == 0)
                return error_set(err, EBUSY, "environment '%s' is just ending", s->name);
        return result < 0 ? result : 0;
}

/* No warden: is it at least running, by `paddock run`? Then this is another such run. */
static int enter_run(const char *name, char **command, const char *user, struct error *err)
{
        cleanup_store struct store store = STORE_CLOSED;
        int running = store_open(&store, err);
        if (running == 0)
                running = store_is_running(&store, name, err);
        if (running < 0)
                return running;
        if (!running) {
                error_set(err, ESRCH, "environment '%s' is not started", name);
                return error_remedy(
                        err, "`paddock start %s` starts it; `paddock run -n %s` runs a program in it without that",
                        name, name);
        }
        if (user) {
                error_set(err, EBUSY,
                          "environment '%s' was not started, but is run by `paddock run`, where all are who it was run "
                          "as",
                          name);
                return error_remedy(err, "end its programs, and `paddock start %s`", name);
        }
        size_t count = 0, words = 0;
        while (command && command[count])
                count++;
        cleanup_free char **argv = memory_grow(NULL, count + 5, sizeof *argv);
        argv[words++] = (char *)"paddock run";
        argv[words++] = (char *)"-n";
        argv[words++] = (char *)name;
        argv[words++] = (char *)"--";
        for (size_t i = 0; i < count; i++)
                argv[words++] = command[i];
        argv[words] = NULL;
        return verb_run((int)words, argv, NULL);
}

int verb_enter(int argc, char **argv)
{
        const char *name = NULL, *user = NULL;
        int i = 1;
        for (; i < argc && !name; i++) {
                if (strcmp(argv[i], "--as") == 0 && i + 1 < argc)
                        user = argv[++i];
                else if (strncmp(argv[i], "--as=", 5) == 0)
                        user = argv[i] + 5;
                else if (argv[i][0] != '-')
                        name = argv[i];
                else
                        return RUN_NEEDS_LIBRARY;
        }
        /* Options may follow the name too; the command begins with the first word that is none. */
        for (; i < argc && argv[i][0] == '-'; i++) {
                if (strcmp(argv[i], "--") == 0) {
                        i++;
                        break;
                }
                if (strcmp(argv[i], "--as") == 0 && i + 1 < argc)
                        user = argv[++i];
                else if (strncmp(argv[i], "--as=", 5) == 0)
                        user = argv[i] + 5;
                else
                        return RUN_NEEDS_LIBRARY;
        }
        if (!name || (user && !*user))
                return RUN_NEEDS_LIBRARY;
        char **command = i < argc ? argv + i : NULL;
        cleanup_error struct error err = ERROR_INIT;
        struct outcome outcome = {.exit_code = EXIT_PADDOCK};
        int result = enter_running(name, command, user, &outcome, &err);
        if (result > 0)
                return run_end_like(&outcome);
        if (result == 0) {
                result = enter_run(name, command, user, &err);
                if (result >= 0)
                        return result;
        }
        error_print(stderr, &err);
        return outcome.exit_code;
}

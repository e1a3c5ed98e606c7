// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock stop`, `paddock restart`, `paddock wait`: the end of environments that were started. */
#include "base/cleanup.h"
#include "model/store.h"
#include "verbs/session.h"
#include "verbs/verbs.h"
#include "warden/client.h"

#include <argp.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define GRACE_DEFAULT 10000 /* ms */

struct request {
        char **names;
        size_t count, capacity;
        unsigned long grace; /* ms */
        bool now, stopped, one;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        char *end;
        double seconds;
        switch (key) {
        case 'g':
                seconds = strtod(arg, &end);
                if (!*arg || *end || !(seconds >= 0) || seconds > 86400)
                        argp_error(state, "--grace %s: it takes seconds, up to a day", arg);
                r->grace = (unsigned long)(seconds * 1000);
                return 0;
        case 'n':
                r->now = true;
                return 0;
        case 's':
                r->stopped = true;
                return 0;
        case ARGP_KEY_ARG:
                if (r->one && r->count)
                        argp_error(state, "one environment at a time");
                *vector_add(r->names, r->count, r->capacity) = arg;
                return 0;
        case ARGP_KEY_NO_ARGS:
                argp_error(state, "which environment?");
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

/* Waits until nothing of it runs, at most `limit` ms. */
static int await_end(struct store *store, const char *name, int limit, struct error *err)
{
        for (int waited = 0;; waited += 5) {
                int running = store_is_running(store, name, err);
                if (running <= 0)
                        return running;
                if (waited >= limit) {
                        error_set(err, EBUSY, "environment '%s' was told to end, and something of it still runs", name);
                        return error_remedy(err, "`paddock ps %s` shows it", name);
                }
                struct timespec pause = {.tv_nsec = 5000000};
                nanosleep(&pause, NULL);
        }
}

/* One that no warden keeps: its first processes are killed, if that is asked for. */
static int stop_runs(struct store *store, int directory, const char *name, bool now, struct error *err)
{
        int running = store_is_running(store, name, err);
        if (running <= 0) {
                if (running == 0)
                        fprintf(stderr, "paddock: environment '%s' is not running\n", name);
                return running;
        }
        if (!now) {
                error_set(err, EBUSY, "environment '%s' was not started, but is run by `paddock run`", name);
                return error_remedy(err, "end its programs, or `paddock stop --now %s` kills them", name);
        }
        int inits[256];
        for (size_t i = session_inits(directory, inits, 256); i > 0; i--)
                kill(inits[i - 1], SIGKILL);
        return await_end(store, name, 5000, err);
}

static int stop(struct store *store, const char *name, const struct request *r, struct error *err)
{
        cleanup_close int directory = store_open_environment(store, name, err);
        if (directory < 0)
                return directory;
        cleanup_client struct client c;
        int result = client_open(&c, directory, err);
        if (!err->code && (result == -ECONNREFUSED || result == -ENOENT))
                return stop_runs(store, directory, name, r->now, err);
        if (result < 0)
                return error_context(err, "environment '%s'", name);
        message_number(client_begin(&c, MESSAGE_STOP), TAG_GRACE, r->now ? 0 : r->grace);
        result = client_call(&c, NULL, 0, err);
        if (result < 0 && result != -EPIPE) /* killed meanwhile: then everything ends as well */
                return error_context(err, "environment '%s'", name);
        error_clear(err);
        uint64_t overdue = 0;
        if (result > 0 && message_get_number(&c.answer, TAG_OVERDUE, &overdue) && overdue)
                fprintf(stderr, "paddock: '%s' did not end within the grace, and was killed\n", name);
        return await_end(store, name, 5000, err);
}

static int stop_all(const struct request *r)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_store struct store store = STORE_CLOSED;
        int status = 0;
        if (store_open(&store, &err) < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        for (size_t i = 0; i < r->count; i++)
                if (stop(&store, r->names[i], r, &err) < 0) {
                        error_print(stderr, &err);
                        error_clear(&err);
                        status = EXIT_PADDOCK;
                }
        return status;
}

static const struct argp_option stop_options[] = {
        {"grace", 'g', "SECONDS", 0, "how long programs have from SIGTERM on until they are killed (10)", 0},
        {"now", 'n', NULL, 0, "kill everything at once", 0}, {0}};

int verb_stop(int argc, char **argv)
{
        static const struct argp argp = {stop_options,
                                         parse,
                                         "NAME...",
                                         "End environments and everything that runs in them.\v"
                                         "Every process gets SIGTERM; what has not ended after the grace is killed.",
                                         0,
                                         0,
                                         0};
        struct request r = {.grace = GRACE_DEFAULT};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        return stop_all(&r);
}

int verb_restart(int argc, char **argv)
{
        static const struct argp argp = {
                stop_options, parse, "NAME", "Stop an environment and start it again.", 0, 0, 0};
        struct request r = {.grace = GRACE_DEFAULT, .one = true};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        int status = stop_all(&r);
        if (status)
                return status;
        char *words[] = {(char *)"paddock", (char *)"start", r.names[0], NULL};
        return execute_paddock(words);
}

/* Waits for what is asked. Returns an exit status or a negative errno. */
static int wait_for(const struct request *r, struct error *err)
{
        const char *name = r->names[0];
        cleanup_store struct store store = STORE_CLOSED;
        int result = store_open(&store, err);
        cleanup_close int directory = result < 0 ? -1 : store_open_environment(&store, name, err);
        if (directory < 0)
                return -err->code;
        cleanup_client struct client c;
        result = client_open(&c, directory, err);
        if (!err->code && (result == -ECONNREFUSED || result == -ENOENT)) {
                int running;
                while ((running = store_is_running(&store, name, err)) > 0) {
                        struct timespec pause = {.tv_nsec = 50000000};
                        nanosleep(&pause, NULL);
                }
                return running;
        }
        if (result < 0)
                return error_context(err, "environment '%s'", name);
        message_number(client_begin(&c, MESSAGE_WAIT), TAG_WHAT, r->stopped ? WAIT_STOPPED : WAIT_PROGRAMS);
        result = client_call(&c, NULL, 0, err);
        uint64_t how = 0;
        if (result < 0)
                return error_context(err, "environment '%s'", name);
        message_get_number(&c.answer, TAG_STATUS, &how);
        int status = (int)how;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int verb_wait(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"stopped", 's', NULL, 0, "wait until the environment is stopped", 0}, {0}};
        static const struct argp argp = {
                options,
                parse,
                "NAME",
                "Wait until the programs that an environment runs in the background have ended for good, or "
                "until it is stopped.\v"
                "Exit status: that of the first of them that failed (128 and the signal, if one ended it), "
                "else 0.",
                0,
                0,
                0};
        struct request r = {.one = true};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        int status = wait_for(&r, &err);
        if (status >= 0)
                return status;
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}

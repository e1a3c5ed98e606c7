// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `paddock serve`, `paddock servers`: who answers the roles of an environment. The supervisor of its calls is asked
 * and told over a socket in the environment's directory (servers/supervisor/admin.h).
 */
#include "base/cleanup.h"
#include "base/text.h"
#include "host/living.h"
#include "model/store.h"
#include "servers/supervisor/admin.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <jansson.h>
#include <string.h>
#include <sys/socket.h>

struct request {
        const char *name, *role;
        char **command;
        bool json;
};

/* Opens the environment. Returns its directory. */
static int open_named(const char *name, struct store *store, struct environment *e, struct error *err)
{
        int result = environment_name_check(name, err);
        if (result == 0)
                result = store_open_existing(store, err);
        if (result == 0)
                result = store_load(store, name, e, err);
        return result < 0 ? result : store_open_environment(store, name, err);
}

/* One question and its answer. -ENOENT, without `err`: no supervisor is there. */
static int ask(int directory, const void *request, size_t size, char *answer, struct error *err)
{
        cleanup_close int fd = host_connect(directory, ADMIN_SOCKET);
        if (fd < 0)
                return -ENOENT;
        struct timeval limit = {.tv_sec = 15};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
                return error_sys(err, errno, "cannot ask the supervisor of calls");
        ssize_t n = recv(fd, answer, ADMIN_SIZE, 0);
        if (n <= 0)
                return error_set(err, n < 0 ? errno : EPIPE, "the supervisor of calls does not answer");
        answer[n - 1] = '\0';
        return 0;
}

/* --- servers --- */

struct row {
        const char *role, *how;
        char *by;
        json_t *state; /* of a server, borrowed; or NULL */
};

static char *words_of(json_t *command)
{
        struct text t = {0};
        size_t i;
        json_t *word;
        json_array_foreach(command, i, word) {
                text_add(&t, i ? " " : "");
                text_add_escaped(&t, json_string_value(word));
        }
        return t.data ? t.data : memory_string("");
}

static char *described(const struct served *s)
{
        struct text t = {0};
        for (size_t i = 0; s->server && s->server[i]; i++) {
                text_add(&t, i ? " " : "");
                text_add_escaped(&t, s->server[i]);
        }
        for (size_t i = 0; !s->server && i < s->allow_count; i++)
                text_addf(&t, "%s --allow %s", i ? "" : "paddock-sockets-policy", s->allow[i]);
        return t.data ? t.data : memory_string("");
}

static long long number(json_t *state, const char *key)
{
        return (long long)json_integer_value(json_object_get(state, key));
}

static void print_row(const struct row *r)
{
        printf("%-10s %-8s %s\n", r->role, r->how, r->by);
        if (!r->state)
                return;
        printf("%-19s %s, pid %lld, restarts %lld; asked %lld, allowed %lld, refused %lld, too late %lld\n", "",
               json_string_value(json_object_get(r->state, "state")), number(r->state, "pid"), number(r->state, "restarts"),
               number(r->state, "asked"), number(r->state, "allowed"), number(r->state, "refused"), number(r->state, "late"));
        printf("%-19s slowest answer %lld ms; %lld waiting for it\n", "", number(r->state, "slowest_us") / 1000,
               number(r->state, "queue"));
        size_t i;
        json_t *one;
        json_array_foreach(json_object_get(r->state, "waiting"), i, one)
                printf("%-19s process %lld waits for %s\n", "", number(one, "pid"),
                       json_string_value(json_object_get(one, "for")));
}

static int list(const struct request *r, struct error *err)
{
        cleanup_store struct store store = STORE_CLOSED;
        cleanup_environment struct environment e = {0};
        cleanup_close int directory = open_named(r->name, &store, &e, err);
        if (directory < 0)
                return -err->code;
        cleanup_free char *answer = memory_new(ADMIN_SIZE);
        json_t *state = NULL;
        int result = served_is(&e.sockets) ? ask(directory, (char[]){ADMIN_STATUS}, 1, answer, err) : -ENOENT;
        if (result == 0)
                state = json_loads(answer, 0, NULL);
        if (result < 0 && err->code)
                return result;
        json_t *live = json_array_get(state, 0);
        bool root = e.identity == IDENTITY_ROOT, own = e.network != NETWORK_INHERIT || served_is(&e.sockets);
        cleanup_free char *sockets = live ? words_of(json_object_get(live, "command")) : described(&e.sockets);
        bool lost = served_is(&e.sockets) && !live && store_is_started(&store, r->name, err) > 0;
        const struct row rows[] = {
                {"files", "own", (char *)(root && e.root == ROOT_HOST ? "the kernel, over paddock-files-mirror" : "the kernel"), NULL},
                {"ids", root ? "own" : "inherit", (char *)"the kernel", NULL},
                {"processes", "own", (char *)"the kernel", NULL},
                {"sockets", served_is(&e.sockets) ? "serve" : own ? "own" : "inherit",
                 served_is(&e.sockets) ? sockets : (char *)"the kernel", live},
                {"network", own ? "own" : "inherit", (char *)"the kernel", NULL},
                {"devices", "own", (char *)"the kernel", NULL},
        };
        json_t *all = json_array();
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                if (!r->json) {
                        print_row(&rows[i]);
                        continue;
                }
                json_t *one = json_pack("{s:s, s:s, s:s}", "role", rows[i].role, "how", rows[i].how, "by", rows[i].by);
                if (rows[i].state)
                        json_object_set(one, "server", rows[i].state);
                json_array_append_new(all, one);
        }
        if (lost)
                fprintf(stderr,
                        "paddock: the supervisor of '%s' has ended, and no connection is made there any more\n"
                        "paddock: `paddock restart %s` starts it with a new one\n",
                        r->name, r->name);
        if (r->json) {
                json_dumpf(all, stdout, JSON_INDENT(2));
                putchar('\n');
        }
        json_decref(all);
        json_decref(state);
        return 0;
}

static error_t parse_servers(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        if (key == 'j')
                r->json = true;
        else if (key == ARGP_KEY_ARG && !r->name)
                r->name = arg;
        else if (key == ARGP_KEY_ARG)
                argp_error(state, "one environment at a time");
        else if (key == ARGP_KEY_NO_ARGS)
                argp_error(state, "which environment?");
        else
                return ARGP_ERR_UNKNOWN;
        return 0;
}

int verb_servers(int argc, char **argv)
{
        static const struct argp_option options[] = {{"json", 'j', NULL, 0, "for programs", 0}, {0}};
        static const struct argp argp = {options, parse_servers, "NAME",
                                         "Show who answers the roles of an environment.", NULL, NULL, NULL};
        struct request r = {0};
        cleanup_error struct error err = ERROR_INIT;
        argp_err_exit_status = EXIT_PADDOCK;
        argp_parse(&argp, argc, argv, 0, NULL, &r);
        if (list(&r, &err) == 0)
                return 0;
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}

/* --- serve --- */

static int replace(const struct request *r, struct error *err)
{
        cleanup_store struct store store = STORE_CLOSED;
        cleanup_environment struct environment e = {0};
        cleanup_close int directory = open_named(r->name, &store, &e, err);
        if (directory < 0)
                return -err->code;
        if (strcmp(r->role, "sockets") != 0) {
                cleanup_free char *shown = text_escape(r->role);
                error_set(err, EINVAL, "no server can answer the role '%s'", shown);
                return error_remedy(err, "the role that can be served is 'sockets'; `paddock servers %s` shows them all", r->name);
        }
        cleanup_free char *cwd = getcwd(NULL, 0);
        size_t size = 1 + (cwd ? strlen(cwd) : 0) + 1;
        for (size_t i = 0; r->command[i]; i++)
                size += strlen(r->command[i]) + 1;
        if (size > ADMIN_SIZE)
                return error_set(err, E2BIG, "the command of the server is too long");
        cleanup_free char *request = memory_new(size), *answer = memory_new(ADMIN_SIZE);
        char *at = request;
        *at++ = ADMIN_REPLACE;
        at = stpcpy(at, cwd ? cwd : "") + 1;
        for (size_t i = 0; r->command[i]; i++)
                at = stpcpy(at, r->command[i]) + 1;
        int result = ask(directory, request, size, answer, err);
        if (result == 0)
                return *answer ? error_set(err, EINVAL, "%s", answer) : 0;
        if (err->code)
                return result;
        if (store_is_started(&store, r->name, err) > 0) {
                error_set(err, EOPNOTSUPP, "the sockets of environment '%s' are answered by the kernel since it was started", r->name);
                return error_remedy(err, "say sockets: {serve: [...]} in its description, and restart it: then its server can be replaced");
        }
        error_set(err, ESRCH, "environment '%s' is not started", r->name);
        return error_remedy(err, "`paddock start %s` first; its description says who answers from the start (sockets:)", r->name);
}

static error_t parse_serve(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        if (key == ARGP_KEY_ARG && !r->name)
                r->name = arg;
        else if (key == ARGP_KEY_ARG && !r->role)
                r->role = arg;
        else if (key == ARGP_KEY_ARG) {
                r->command = &state->argv[state->next - 1];
                state->next = state->argc;
        } else if (key == ARGP_KEY_END && !r->command)
                argp_error(state, "which environment, which role, and which program?");
        else
                return ARGP_ERR_UNKNOWN;
        return 0;
}

int verb_serve(int argc, char **argv)
{
        static const struct argp argp = {NULL, parse_serve, "NAME ROLE -- COMMAND...",
                                         "Let a program answer a role of a running environment from now on.", NULL, NULL, NULL};
        struct request r = {0};
        cleanup_error struct error err = ERROR_INIT;
        argp_err_exit_status = EXIT_PADDOCK;
        argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &r);
        if (replace(&r, &err) == 0)
                return 0;
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}

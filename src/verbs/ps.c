// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock ps`: the processes of an environment, as outside sees them. */
#include "base/cleanup.h"
#include "host/host.h"
#include "model/store.h"
#include "verbs/session.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <jansson.h>
#include <pwd.h>
#include <string.h>

struct request {
        const char *name;
        bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
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

const char *user_name_of(long uid, char *buffer, size_t size)
{
        struct passwd *entry = uid < 0 ? NULL : getpwuid((uid_t)uid);
        if (entry)
                return entry->pw_name;
        snprintf(buffer, size, uid < 0 ? "-" : "%ld", uid);
        return buffer;
}

static void print_one(const struct process *p)
{
        char user[32], cpu[32];
        unsigned long long seconds = p->cpu / 1000;
        snprintf(cpu, sizeof cpu, "%llu:%02llu.%02llu", seconds / 60, seconds % 60, p->cpu % 1000 / 10);
        printf("%8d %8d %-12.12s %c %10s %8.1f  %s\n", p->pid, p->inner, user_name_of(p->uid, user, sizeof user),
               p->state, cpu, (double)p->memory / 1048576, p->command);
}

static json_t *json_one(const struct process *p)
{
        char user[32];
        char state[2] = {p->state};
        json_t *one = json_pack("{s:i, s:i, s:s, s:s, s:f, s:I, s:s}", "pid", p->pid, "inner", p->inner, "user",
                                user_name_of(p->uid, user, sizeof user), "state", state, "cpu", (double)p->cpu / 1000,
                                "memory", (json_int_t)p->memory, "command", p->command);
        if (one && p->uid >= 0)
                json_object_set_new(one, "uid", json_integer(p->uid));
        return one;
}

int verb_ps(int argc, char **argv)
{
        static const struct argp_option options[] = {{"json", 'j', NULL, 0, "print JSON", 0}, {0}};
        static const struct argp argp = {
                options,
                parse,
                "NAME",
                "Show the processes of an environment: their number outside and inside, the user inside, the "
                "processor time and memory (MiB) that they have used.",
                0,
                0,
                0};
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_store struct store store = STORE_CLOSED;
        cleanup_close int directory = store_open(&store, &err) < 0 ? -1 : store_open_environment(&store, r.name, &err);
        if (directory < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        int inits[256];
        struct process *list;
        size_t count = host_processes(inits, session_inits(directory, inits, 256), &list);
        json_t *array = r.json ? json_array() : NULL;
        if (!r.json && count)
                printf("%8s %8s %-12s %c %10s %8s  %s\n", "OUTSIDE", "INSIDE", "USER", 'S', "CPU", "MEMORY", "COMMAND");
        for (size_t i = 0; i < count; i++) {
                if (r.json)
                        json_array_append_new(array, json_one(&list[i]));
                else
                        print_one(&list[i]);
        }
        host_processes_free(list, count);
        return r.json ? print_json(array) : 0;
}

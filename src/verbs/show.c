// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock show`: the description that would make an environment again, as YAML or as JSON. */
#include "base/cleanup.h"
#include "description/description.h"
#include "model/store.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <jansson.h>

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

static bool is_utf8(const char *name)
{
        json_t *value = json_string(name);
        json_decref(value);
        return value != NULL;
}

/* A name as JSON: itself or, when its object is marked as escaped, as text_escape() writes it. */
static json_t *name_of(const char *name, bool escaped)
{
        cleanup_free char *text = escaped ? text_escape(name) : NULL;
        return json_string(text ? text : name);
}

/* A rule as JSON. JSON cannot hold what is not UTF-8: when one of its names is not, all are escaped and it says so. */
static json_t *rule_of(const struct rule *rule)
{
        bool escaped = !is_utf8(rule->path);
        for (size_t i = 0; i < rule->source_count; i++)
                escaped = escaped || !is_utf8(rule->sources[i]);
        json_t *value = json_object();
        json_object_set_new(value, "path", name_of(rule->path, escaped));
        json_object_set_new(value, "rule", json_string(rule_word(rule->kind)));
        if (rule->source_count) {
                json_t *sources = json_array();
                for (size_t i = 0; i < rule->source_count; i++)
                        json_array_append_new(sources, name_of(rule->sources[i], escaped));
                json_object_set_new(value, "sources", sources);
        }
        if (escaped)
                json_object_set_new(value, "escaped", json_true());
        return value;
}

static json_t *environment_of(const struct environment *e, const char *layer, bool running)
{
        json_t *value = json_object(), *view = json_array();
        json_object_set_new(value, "name", json_string(e->name));
        json_object_set_new(value, "state", json_string(running ? "running" : "stopped"));
        json_object_set_new(value, "layer", json_name(layer));
        if (e->root == ROOT_DIRECTORY) {
                bool escaped = !is_utf8(e->root_path);
                json_object_set_new(value, "root", name_of(e->root_path, escaped));
                if (escaped)
                        json_object_set_new(value, "root-escaped", json_true());
        } else {
                json_object_set_new(value, "root", json_string(e->root == ROOT_EMPTY ? "empty" : "host"));
        }
        json_object_set_new(value, "identity", json_string("self"));
        json_object_set_new(value, "network", json_string(e->network == NETWORK_NONE ? "none" : "inherit"));
        json_object_set_new(value, "session", json_boolean(e->session));
        if (e->hostname)
                json_object_set_new(value, "hostname", json_name(e->hostname));
        for (size_t i = 0; i < e->view.count; i++)
                if (!e->view.rules[i].by_default)
                        json_array_append_new(view, rule_of(&e->view.rules[i]));
        json_object_set_new(value, "view", view);
        return value;
}

/* Prints the description behind comments on the environment's state. Returns an exit status. */
static int print_yaml(const struct environment *e, const char *layer, bool running)
{
        cleanup_text struct text t = {0};
        description_add_comment(&t, "", "state", running ? "running" : "stopped");
        description_add_comment(&t, "", "layer", layer);
        cleanup_free char *description = description_write(e);
        text_add(&t, description);
        if (fputs(t.data, stdout) == EOF || fflush(stdout) == EOF) {
                fprintf(stderr, "paddock: cannot write the description\n");
                return EXIT_PADDOCK;
        }
        return 0;
}

int verb_show(int argc, char **argv)
{
        static const struct argp_option options[] = {{"json", 'j', NULL, 0, "print JSON", 0}, {0}};
        static const struct argp argp = {
                options, parse, "NAME",
                "Print the description that would make an environment again.\v"
                "What is printed is YAML, see paddock.yaml(5); `paddock create -f - OTHER` reads it. "
                "Comments tell where the environment keeps its changes.",
                0, 0, 0};
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_store struct store store = STORE_CLOSED;
        cleanup_environment struct environment e = {0};
        int running = store_open(&store, &err);
        if (running == 0)
                running = store_load(&store, r.name, &e, &err);
        if (running == 0)
                running = store_is_running(&store, r.name, &err);
        if (running < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        cleanup_free char *layer = memory_format("%s/env/%s/layer", store.path, r.name);
        return r.json ? print_json(environment_of(&e, layer, running)) : print_yaml(&e, layer, running);
}

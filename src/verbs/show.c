// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock show`: the description that would make an environment again, as YAML or as JSON. */
#include "base/cleanup.h"
#include "base/text.h"
#include "description/description.h"
#include "host/host.h"
#include "layer/size.h"
#include "model/store.h"
#include "verbs/base.h"
#include "verbs/changes.h"
#include "verbs/limits.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

struct request {
        const char *name;
        bool json, unreadable;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        if (key == 'j')
                r->json = true;
        else if (key == 'u')
                r->unreadable = true;
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

static void add_changes(struct text *t, const struct moved *m)
{
        text_addf(t, "%zu package%s changed outside, %zu of which the layer has files of", m->count,
                  m->count == 1 ? "" : "s", m->held_count);
        for (size_t i = 0, told = 0; i < m->count; i++) {
                const struct package_change *change = &m->changes[i];
                if (!m->held[i])
                        continue;
                text_addf(t, "%s%s (%s -> %s)", told++ ? ", " : ": ", change->name,
                          change->before ? change->before : "none", change->after ? change->after : "none");
        }
}

/* What file systems were mounted then and are not now, or the reverse. */
static void add_mounts(struct text *t, const struct stamp *has, const struct stamp *lacks, const char *word)
{
        for (size_t i = 0; i < has->mount_count; i++)
                if (!stamp_has_mount(lacks, has->mounts[i]))
                        text_addf(t, "%s%s %s", t->length ? ", " : "", has->mounts[i], word);
}

/* What the layer was made over, as comments. */
static void add_base(struct text *t, const struct moved *m)
{
        if (!m->recorded)
                return;
        cleanup_text struct text base = {0}, changes = {0}, mounts = {0};
        text_addf(&base, "%s", m->then.os ? m->then.os : "a system without a name");
        if (m->then.package_count)
                text_addf(&base, ", %zu packages", m->then.package_count);
        description_add_comment(t, "", "base", base.data);
        if (m->os)
                description_add_comment(t, "", "moved on", m->now.os ? m->now.os : "a system without a name");
        if (m->count)
                add_changes(&changes, m);
        else if (m->unknown)
                text_add(&changes, "the package database changed; which packages is not known for its kind");
        if (changes.length)
                description_add_comment(t, "", "moved on", changes.data);
        if (m->own_database && m->count)
                description_add_comment(t, "", "moved on",
                                        "the layer has a package database of its own, without these changes");
        add_mounts(&mounts, &m->now, &m->then, "is new");
        add_mounts(&mounts, &m->then, &m->now, "is gone");
        if (mounts.length)
                description_add_comment(t, "", "mounts", mounts.data);
}

static json_t *base_of(const struct moved *m)
{
        if (!m->recorded)
                return json_null();
        json_t *changes = json_array(), *value = json_object(), *mounts = json_array();
        for (size_t i = 0; i < m->count; i++)
                json_array_append_new(changes,
                                      json_pack("{s:o, s:o, s:o, s:b}", "package", json_name(m->changes[i].name),
                                                "before",
                                                m->changes[i].before ? json_name(m->changes[i].before) : json_null(),
                                                "after",
                                                m->changes[i].after ? json_name(m->changes[i].after) : json_null(),
                                                "in-layer", m->held[i]));
        for (size_t i = 0; i < m->then.mount_count; i++)
                json_array_append_new(mounts, json_name(m->then.mounts[i]));
        json_object_set_new(value, "os", m->then.os ? json_name(m->then.os) : json_null());
        json_object_set_new(value, "os-now", m->now.os ? json_name(m->now.os) : json_null());
        json_object_set_new(value, "packages", json_integer((json_int_t)m->then.package_count));
        json_object_set_new(value, "changed", changes);
        json_object_set_new(value, "own-package-database", json_boolean(m->own_database));
        json_object_set_new(value, "mounts", mounts);
        return value;
}

static json_t *limits_of(const struct environment *e, const struct limit_held held[LIMIT_COUNT])
{
        json_t *value = json_object();
        for (int kind = 0; kind < LIMIT_COUNT; kind++) {
                if (!e->limits.value[kind])
                        continue;
                bool bytes = kind == LIMIT_DISK || kind == LIMIT_MEMORY;
                json_object_set_new(value, limit_word((enum limit_kind)kind),
                                    json_pack("{s:I, s:s, s:s}", bytes ? "size" : "number",
                                              (json_int_t)e->limits.value[kind], "kind",
                                              limit_hold_word(held[kind].how),
                                              held[kind].how == HOLD_ENFORCED ? "by" : "why", held[kind].by));
        }
        if (e->limits.over)
                json_object_set_new(value, "over", json_string(limit_over_word(e->limits.over)));
        return value;
}

/* How each limit is held, as comments. */
static void add_limits(struct text *t, const struct environment *e, const struct limit_held held[LIMIT_COUNT])
{
        for (int kind = 0; kind < LIMIT_COUNT; kind++) {
                char value[LIMIT_VALUE];
                if (!e->limits.value[kind])
                        continue;
                cleanup_free char *line =
                        memory_format("%s %s: %s%s %s", limit_word((enum limit_kind)kind),
                                      limit_value((enum limit_kind)kind, e->limits.value[kind], value),
                                      limit_hold_word(held[kind].how),
                                      held[kind].how == HOLD_ENFORCED ? " by" : ", not enforced:", held[kind].by);
                cleanup_free char *plain =
                        held[kind].how == HOLD_NOT
                                ? memory_format("%s %s: not enforced: %s", limit_word((enum limit_kind)kind), value,
                                                held[kind].by)
                                : NULL;
                description_add_comment(t, "", "limit", plain ? plain : line);
        }
}

static json_t *environment_of(const struct environment *e, const struct limit_held *held, const struct moved *moved,
                              const char *layer, const struct layer_size *size, const char *state)
{
        json_t *value = json_object(), *view = json_array();
        json_object_set_new(value, "name", json_string(e->name));
        json_object_set_new(value, "state", json_string(state));
        json_object_set_new(value, "layer", json_name(layer));
        json_object_set_new(value, "size", json_integer((json_int_t)size->own));
        json_object_set_new(value, "shared", json_integer((json_int_t)size->shared));
        json_object_set_new(value, "limits", limits_of(e, held));
        json_object_set_new(value, "base", base_of(moved));
        if (e->root == ROOT_DIRECTORY || e->root == ROOT_IMAGE) {
                bool escaped = !is_utf8(e->root_path);
                json_object_set_new(value, "root", name_of(e->root_path, escaped));
                if (escaped)
                        json_object_set_new(value, "root-escaped", json_true());
        } else {
                json_object_set_new(value, "root", json_string(e->root == ROOT_EMPTY ? "empty" : "host"));
        }
        json_object_set_new(value, "identity", json_string(identity_word(e->identity)));
        json_object_set_new(value, "network", json_string(network_word(e->network)));
        json_t *published = json_array();
        for (size_t i = 0; i < e->publish.count; i++) {
                char word[PUBLISH_WORD];
                json_array_append_new(published, json_string(publish_to_word(&e->publish.items[i], word)));
        }
        json_object_set_new(value, "publish", published);
        if (served_is(&e->sockets)) {
                json_t *sockets = json_object(), *list = json_array();
                for (size_t i = 0; i < e->sockets.allow_count; i++)
                        json_array_append_new(list, json_name(e->sockets.allow[i]));
                for (size_t i = 0; e->sockets.server && e->sockets.server[i]; i++)
                        json_array_append_new(list, json_name(e->sockets.server[i]));
                json_object_set_new(sockets, e->sockets.server ? "serve" : "allow", list);
                if (e->sockets.resolver)
                        json_object_set_new(sockets, "resolver", json_name(e->sockets.resolver));
                json_object_set_new(value, "sockets", sockets);
        }
        json_object_set_new(value, "session", json_boolean(e->session));
        if (e->hostname)
                json_object_set_new(value, "hostname", json_name(e->hostname));
        for (size_t i = 0; i < e->view.count; i++)
                if (!e->view.rules[i].by_default)
                        json_array_append_new(view, rule_of(&e->view.rules[i]));
        json_object_set_new(value, "view", view);
        json_t *programs = json_array();
        for (size_t i = 0; i < e->program_count; i++) {
                json_t *argv = json_array(), *one = json_object();
                for (size_t n = 0; e->programs[i].argv[n]; n++)
                        json_array_append_new(argv, json_name(e->programs[i].argv[n]));
                json_object_set_new(one, "name", json_string(e->programs[i].name));
                json_object_set_new(one, "command", argv);
                json_object_set_new(one, "restart", json_string(restart_word(e->programs[i].restart)));
                json_array_append_new(programs, one);
        }
        json_object_set_new(value, "run", programs);
        return value;
}

/* Prints the description behind comments on the environment's state. Returns an exit status. */
static int print_yaml(const struct environment *e, const struct limit_held *held, const struct moved *moved,
                      const char *layer, const struct layer_size *size, const char *state)
{
        cleanup_text struct text t = {0};
        description_add_comment(&t, "", "state", state);
        description_add_comment(&t, "", "layer", layer);
        cleanup_text struct text bytes = {0};
        changes_size(&bytes, size->own);
        if (size->shared) {
                text_add(&bytes, ", and ");
                changes_size(&bytes, size->shared);
                text_add(&bytes, " that may be shared");
        }
        if (e->limits.value[LIMIT_DISK]) {
                text_add(&bytes, size->own > e->limits.value[LIMIT_DISK] ? "; its limit of " : "; its limit is ");
                changes_size(&bytes, e->limits.value[LIMIT_DISK]);
                text_add(&bytes,
                         size->own > e->limits.value[LIMIT_DISK] ? " is passed (watched, not enforced)"
                                                                 : " (watched, not enforced)");
        }
        description_add_comment(&t, "", "size", bytes.data);
        add_limits(&t, e, held);
        add_base(&t, moved);
        cleanup_free char *description = description_write(e);
        text_add(&t, description);
        if (fputs(t.data, stdout) == EOF || fflush(stdout) == EOF) {
                fprintf(stderr, "paddock: cannot write the description\n");
                return EXIT_PADDOCK;
        }
        return 0;
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Prints each name of the record `unreadable` once: names end in NUL there, and each start adds its own. */
static int print_unreadable(struct store *store, const struct request *r, struct error *err)
{
        cleanup_close int directory = store_open_environment(store, r->name, err);
        if (directory < 0)
                return directory;
        int fd = openat(directory, "unreadable", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        cleanup_file FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
        char **names = NULL, *line = NULL;
        size_t count = 0, capacity = 0, size = 0;
        while (file && getdelim(&line, &size, '\0', file) > 0)
                *vector_add(names, count, capacity) = memory_string(line);
        free(line);
        if (count > 1)
                qsort(names, count, sizeof *names, by_text);
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++) {
                bool again = i && strcmp(names[i - 1], names[i]) == 0;
                cleanup_free char *shown = text_escape(names[i]);
                if (!again && r->json)
                        json_array_append_new(list, json_name(names[i]));
                else if (!again)
                        printf("%s\n", shown);
        }
        while (count)
                free(names[--count]);
        free(names);
        if (r->json)
                return print_json(list);
        json_decref(list);
        return fflush(stdout) == EOF ? error_sys(err, errno, "cannot write the names") : 0;
}

static int compare_base(struct store *store, const char *name, struct moved *moved, struct error *err)
{
        cleanup_system struct system system = {0};
        struct slots slots = {0};
        cleanup_close int directory = store_open_environment(store, name, err);
        int result = directory < 0 ? directory : host_survey(&system, NULL, NULL, err);
        if (result < 0)
                return result;
        result = slots_load(directory, &slots, err);
        if (result == 0)
                result = base_compare(directory, &slots, &system, true, moved, err);
        slots_clear(&slots);
        return result;
}

int verb_show(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"json", 'j', NULL, 0, "print JSON", 0},
                {"unreadable", 'u', NULL, 0, "print what root inside was shown without its content instead", 0},
                {0}};
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
        int result = store_open(&store, &err);
        if (result == 0)
                result = store_load(&store, r.name, &e, &err);
        const char *state = result < 0 ? NULL : store_state(&store, r.name, &err);
        if (!state) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        if (r.unreadable) {
                result = print_unreadable(&store, &r, &err);
                if (result < 0)
                        error_print(stderr, &err);
                return result ? EXIT_PADDOCK : 0;
        }
        cleanup_moved struct moved moved = {0};
        if (compare_base(&store, r.name, &moved, &err) < 0)
                error_print(stderr, &err);
        cleanup_free char *layer = memory_format("%s/env/%s/layer", store.path, r.name);
        struct layer_size size = {0};
        cleanup_close int directory = store_open_environment(&store, r.name, &err);
        host_read_everything(); /* the last that is looked at */
        if (directory < 0 || layer_size(directory, &size, &err) < 0)
                error_print(stderr, &err);
        struct limit_held held[LIMIT_COUNT];
        if (strcmp(state, "stopped") == 0 || directory < 0 || !limits_recorded(directory, held))
                host_limits_judge(&e.limits, held);
        return r.json ? print_json(environment_of(&e, held, &moved, layer, &size, state))
                      : print_yaml(&e, held, &moved, layer, &size, state);
}

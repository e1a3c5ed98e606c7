// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The stored form of an environment. It exists beside the YAML description so that starting a named environment needs
 * no YAML library: a record is parsed in microseconds, and `paddock show` writes the YAML back from it.
 */
#include "model/environment.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <string.h>

#define RECORD_MAGIC "paddock-environment "
#define RECORD_VERSION 1
#define RECORD_FIELDS 4096 /* more sources in one rule than any kernel unites */

static void line(struct text *t, const char *key, const char *value)
{
        text_add(t, key);
        text_add(t, "\t");
        text_add_escaped(t, value);
        text_add(t, "\n");
}

char *environment_to_record(const struct environment *e)
{
        struct text t = {0};
        text_addf(&t, RECORD_MAGIC "%d\n", RECORD_VERSION);
        if (e->name)
                line(&t, "name", e->name);
        if (e->root == ROOT_EMPTY)
                line(&t, "root", "empty");
        else if (e->root == ROOT_DIRECTORY)
                line(&t, "root-directory", e->root_path);
        else if (e->root == ROOT_IMAGE)
                line(&t, "root-image", e->root_path);
        if (e->identity != IDENTITY_SELF)
                line(&t, "identity", identity_word(e->identity));
        if (e->network != NETWORK_INHERIT)
                line(&t, "network", network_word(e->network));
        for (size_t i = 0; i < e->publish.count; i++) {
                char word[PUBLISH_WORD];
                line(&t, "publish", publish_to_word(&e->publish.items[i], word));
        }
        if (e->session)
                line(&t, "session", "yes");
        if (e->hostname)
                line(&t, "hostname", e->hostname);
        for (size_t i = 0; i < e->sockets.allow_count; i++)
                line(&t, "sockets-allow", e->sockets.allow[i]);
        for (size_t n = 0; e->sockets.server && e->sockets.server[n]; n++) {
                text_add(&t, n ? "\t" : "sockets-serve\t");
                text_add_escaped(&t, e->sockets.server[n]);
        }
        text_add(&t, e->sockets.server ? "\n" : "");
        if (e->sockets.resolver)
                line(&t, "sockets-resolver", e->sockets.resolver);
        for (int kind = 0; kind < LIMIT_COUNT; kind++) {
                char value[LIMIT_VALUE];
                if (e->limits.value[kind])
                        text_addf(&t, "limit\t%s\t%s\n", limit_word((enum limit_kind)kind),
                                  limit_value((enum limit_kind)kind, e->limits.value[kind], value));
        }
        if (e->limits.over)
                text_addf(&t, "limit\tover\t%s\n", limit_over_word(e->limits.over));
        for (size_t i = 0; i < e->view.count; i++) {
                const struct rule *rule = &e->view.rules[i];
                text_addf(&t, "rule\t%s\t", rule_word(rule->kind));
                text_add_escaped(&t, rule->path);
                for (size_t s = 0; s < rule->source_count; s++) {
                        text_add(&t, "\t");
                        text_add_escaped(&t, rule->sources[s]);
                }
                text_add(&t, "\n");
        }
        for (size_t i = 0; i < e->program_count; i++) {
                const struct run_program *p = &e->programs[i];
                text_addf(&t, "run\t%s\t%s", p->name, restart_word(p->restart));
                for (size_t n = 0; p->argv[n]; n++) {
                        text_add(&t, "\t");
                        text_add_escaped(&t, p->argv[n]);
                }
                text_add(&t, "\n");
        }
        for (size_t n = 0; e->init && e->init[n]; n++) {
                text_add(&t, n ? "\t" : "init\t");
                text_add_escaped(&t, e->init[n]);
        }
        text_add(&t, e->init ? "\n" : "");
        for (size_t i = 0; i < e->grants.count; i++) {
                text_add(&t, "grant");
                grant_to_fields(&t, &e->grants.grants[i]);
                text_add(&t, "\n");
        }
        for (size_t i = 0; i < e->channels.count; i++) {
                text_add(&t, "channel");
                channel_plan_to_fields(&t, &e->channels.items[i]);
                text_add(&t, "\n");
        }
        return t.data;
}

static int apply(struct environment *e, char **f, int n, struct error *err)
{
        if (n == 2 && strcmp(f[0], "name") == 0 && environment_name_valid(f[1]) && !e->name) {
                e->name = memory_string(f[1]);
        } else if (n == 2 && strcmp(f[0], "root") == 0 && strcmp(f[1], "empty") == 0) {
                e->root = ROOT_EMPTY;
        } else if (n == 2 && strcmp(f[0], "root-directory") == 0 && !e->root_path) {
                e->root = ROOT_DIRECTORY;
                e->root_path = memory_string(f[1]);
        } else if (n == 2 && strcmp(f[0], "root-image") == 0 && environment_name_valid(f[1]) && !e->root_path) {
                e->root = ROOT_IMAGE;
                e->root_path = memory_string(f[1]);
        } else if (n == 2 && strcmp(f[0], "identity") == 0 && identity_from_word(f[1]) >= 0) {
                e->identity = (enum identity_kind)identity_from_word(f[1]);
        } else if (n == 2 && strcmp(f[0], "network") == 0 && network_from_word(f[1]) >= 0) {
                e->network = (enum network_kind)network_from_word(f[1]);
        } else if (n == 2 && strcmp(f[0], "publish") == 0) {
                struct publish p;
                int result = publish_from_word(f[1], &p, err);
                return result < 0 ? result : publish_add(&e->publish, &p, err);
        } else if (n == 2 && strcmp(f[0], "session") == 0 && strcmp(f[1], "yes") == 0) {
                e->session = true;
        } else if (n == 2 && strcmp(f[0], "hostname") == 0 && !e->hostname &&
                   environment_hostname_check(f[1], err) == 0) {
                e->hostname = memory_string(f[1]);
        } else if (n >= 3 && strcmp(f[0], "rule") == 0 && rule_from_word(f[1]) >= 0 &&
                   (f[2][0] == '/' || f[2][0] == '~')) {
                return view_add(&e->view, (enum rule_kind)rule_from_word(f[1]), f[2], (const char *const *)f + 3,
                                (size_t)n - 3, err);
        } else if (n >= 4 && strcmp(f[0], "run") == 0 && restart_from_word(f[2]) >= 0) {
                return environment_add_program(e, f[1], (const char *const *)f + 3, (size_t)n - 3,
                                               (enum restart_policy)restart_from_word(f[2]), err);
        } else if (n == 3 && strcmp(f[0], "limit") == 0 && limits_set(&e->limits, f[1], f[2], err) == 0) {
                return 0;
        } else if (n >= 2 && strcmp(f[0], "init") == 0 && !e->init) {
                return environment_set_init(e, (const char *const *)f + 1, (size_t)n - 1, err);
        } else if (n == 2 && strcmp(f[0], "sockets-allow") == 0) {
                return served_allow(&e->sockets, f[1], err);
        } else if (n >= 2 && strcmp(f[0], "sockets-serve") == 0) {
                return served_by(&e->sockets, (const char *const *)f + 1, (size_t)n - 1, err);
        } else if (n == 2 && strcmp(f[0], "sockets-resolver") == 0) {
                return served_resolver(&e->sockets, f[1], err);
        } else if (n >= 5 && strcmp(f[0], "channel") == 0) {
                return channel_plans_add_fields(&e->channels, f + 1, (size_t)n - 1, err);
        } else if (n >= 2 && strcmp(f[0], "grant") == 0) {
                cleanup_grant struct grant grant;
                int result = grant_from_fields(&grant, f + 1, (size_t)n - 1, err);
                return result < 0 ? result : grant_list_add(&e->grants, &grant, err);
        } else {
                return error_set(err, EINVAL, "it says '%s', which this version does not know", f[0]);
        }
        return 0;
}

int environment_from_record(struct environment *e, const char *record, const char *origin, struct error *err)
{
        *e = (struct environment){0};
        size_t magic = strlen(RECORD_MAGIC);
        if (strncmp(record, RECORD_MAGIC, magic) != 0) {
                error_set(err, EINVAL, "%s is not an environment's record", origin);
                return error_remedy(err,
                                    "it was changed by something else: move it away, or `paddock rm` the environment");
        }
        char *rest;
        long version = strtol(record + magic, &rest, 10);
        if (version > RECORD_VERSION) {
                error_set(err, EPROTO, "%s was written by a newer paddock (version %ld; this one knows up to %d)",
                          origin, version, RECORD_VERSION);
                return error_remedy(err, "use that newer paddock, or another XDG_STATE_HOME with this one");
        }
        if (version < 1 || *rest != '\n')
                return error_set(err, EINVAL, "%s is damaged in its first line", origin);

        cleanup_free char *copy = memory_string(rest + 1);
        char *lines = copy, *one;
        int number = 1;
        while ((one = strsep(&lines, "\n"))) {
                number++;
                if (!*one)
                        continue;
                char **fields = NULL;
                int n = text_fields(one, RECORD_FIELDS, &fields);
                int result = n < 0 ? error_set(err, EINVAL, "it is damaged") : apply(e, fields, n, err);
                text_fields_free(fields, n);
                if (result < 0) {
                        environment_clear(e);
                        return error_context(err, "%s:%d", origin, number);
                }
        }
        return 0;
}

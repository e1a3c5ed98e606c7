// SPDX-License-Identifier: GPL-3.0-or-later
/* Named sets of grants, which a user defines once: see description.h and paddock.yaml(5). */
#include "description/description.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "description/parser.h"

#include <fcntl.h>
#include <string.h>

void grant_sets_clear(struct grant_sets *sets)
{
        for (size_t i = 0; i < sets->count; i++) {
                free(sets->sets[i].name);
                grant_list_clear(&sets->sets[i].grants);
        }
        free(sets->sets);
        *sets = (struct grant_sets){0};
}

char *grant_sets_file(void)
{
        const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
        if (config && config[0] == '/')
                return path_join(config, "paddock/grants.yaml");
        return home && home[0] == '/' ? path_join(home, ".config/paddock/grants.yaml") : NULL;
}

static void read_sets(struct parser *p, const struct node *root, struct grant_sets *sets)
{
        if (parser_is_nothing(root) || root->unusable)
                return;
        if (root->kind != NODE_MAP) {
                complain(p, root, "a file of sets is a map of NAME: LIST, not a %s",
                         root->kind == NODE_LIST ? "list" : "word");
                return;
        }
        for (size_t i = 0; i < root->count; i += 2) {
                const struct node *key = &root->items[i], *value = &root->items[i + 1];
                const char *name = parser_scalar(p, key, "a set", "a name before each colon");
                if (!name)
                        continue;
                cleanup_free char *word = shown(key->text, key->length);
                if (!grant_set_valid(name)) {
                        complain(p, key,
                                 "'%s' cannot name a set: a name has 1 to 64 letters, digits, '.', '_' or '-' and "
                                 "begins with a letter or digit",
                                 word);
                        continue;
                }
                struct grant_set *set = vector_add(sets->sets, sets->count, sets->capacity);
                set->name = memory_string(name);
                parser_grants(p, value, word, name, &set->grants);
        }
}

int grant_sets_parse(struct grant_sets *sets, const char *text, size_t length, const char *origin,
                     const char *directory, struct text *problems)
{
        struct node root;
        struct problems found = {0};
        struct parser p = {.problems = &found, .directory = directory};
        *sets = (struct grant_sets){0};
        if (yaml_read(text, length, &root, &found))
                read_sets(&p, &root, sets);
        bool good = !found.count;
        if (!good) {
                problems_print(&found, origin, problems);
                grant_sets_clear(sets);
        }
        node_clear(&root);
        problems_clear(&found);
        return good ? 0 : -EINVAL;
}

int grant_sets_load(struct grant_sets *sets, struct text *problems, struct error *err)
{
        cleanup_free char *file = grant_sets_file();
        cleanup_text struct text content = {0};
        *sets = (struct grant_sets){0};
        if (!file || access(file, F_OK) < 0)
                return 0;
        cleanup_free char *directory = NULL;
        int result = description_read(file, &content, &directory, err);
        if (result < 0)
                return result;
        if (grant_sets_parse(sets, content.data, content.length, file, directory, problems) < 0)
                return error_set(err, EINVAL, "%s does not define sets of grants", file);
        return 0;
}

int grant_sets_find(const struct grant_sets *sets, const char *name, const struct grant_list **grants,
                    struct error *err)
{
        const char **names = memory_new((sets->count + 1) * sizeof *names);
        *grants = NULL;
        for (size_t i = 0; i < sets->count; i++) {
                names[i] = sets->sets[i].name;
                if (strcmp(names[i], name) == 0)
                        *grants = &sets->sets[i].grants;
        }
        int result = 0;
        if (!*grants) {
                cleanup_free char *word = text_escape(name), *file = grant_sets_file();
                const char *near = text_nearest(name, names);
                result = error_set(err, ENOENT, "there is no set of grants '%s'%s%s%s", word,
                                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
                error_remedy(err,
                             "sets are defined in %s (paddock.yaml(5)); a file or directory is written with a slash, "
                             "as ./%s",
                             file ? file : "~/.config/paddock/grants.yaml", word);
        }
        free(names);
        return result;
}

int grant_sets_expand(const struct grant_sets *sets, const struct grant_list *grants, struct grant_list *expanded,
                      struct error *err)
{
        *expanded = (struct grant_list){0};
        int result = 0;
        for (size_t i = 0; i < grants->count && result == 0; i++) {
                const struct grant *g = &grants->grants[i];
                const struct grant_list *members = NULL;
                if (g->resource) {
                        result = grant_list_add(expanded, g, err);
                        continue;
                }
                result = grant_sets_find(sets, g->set, &members, err);
                for (size_t j = 0; result == 0 && members && j < members->count; j++) {
                        cleanup_grant struct grant one;
                        grant_copy(&one, &members->grants[j]);
                        if (g->to) {
                                free(one.to);
                                one.to = memory_string(g->to);
                        }
                        one.locked |= g->locked;
                        one.keep |= g->keep;
                        if (g->expiry != EXPIRY_NEVER) {
                                one.expiry = g->expiry;
                                one.seconds = g->seconds;
                        }
                        result = grant_list_add(expanded, &one, err);
                }
        }
        if (result < 0)
                grant_list_clear(expanded);
        return result;
}

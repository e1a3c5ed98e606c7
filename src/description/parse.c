// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From the tree of a YAML text to an environment: see description.h. A key of the description is one row in `keys` and
 * one function; a rule of a view that has a value of its own is one row in `forms` and one function.
 */
#include "description/description.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "description/parser.h"
#include "description/yaml.h"
#include "model/image.h"

#include <string.h>

static const char later[] = "'%s' is known, but not available in this version of paddock";

bool parser_is_word(const struct node *node, const char *word)
{
        return node->length == strlen(word) && memcmp(node->text, word, node->length) == 0;
}

bool parser_is_nothing(const struct node *node)
{
        return node->kind == NODE_SCALAR && node->plain && !node->length && !node->unusable;
}

const char *parser_scalar(struct parser *p, const struct node *node, const char *key, const char *takes)
{
        if (node->unusable)
                return NULL;
        if (node->kind != NODE_SCALAR)
                complain(p, node, "'%s' takes %s, not a %s", key, takes, node->kind == NODE_LIST ? "list" : "map");
        else if (!node->length)
                complain(p, node, "'%s' has no value: it takes %s", key, takes);
        else if (memchr(node->text, '\0', node->length))
                complain(p, node, "'%s' takes %s, which cannot hold a NUL character", key, takes);
        else
                return node->text;
        return NULL;
}

void parser_unknown(struct parser *p, const struct node *node, const char *what, const char *const *known,
                             size_t available)
{
        cleanup_free char *word = shown(node->text, node->length);
        const char *near = text_nearest(node->text, known);
        if (near) {
                complain(p, node, "unknown %s '%s'; did you mean '%s'?", what, word, near);
                return;
        }
        cleanup_text struct text all = {0};
        for (size_t i = 0; i < available; i++)
                text_addf(&all, "%s%s", i ? ", " : "", known[i]);
        complain(p, node, "unknown %s '%s'; known: %s", what, word, all.data);
}

/* Has `path` a component ".."? */
static bool climbs(const char *path)
{
        for (; *path; path += strcspn(path, "/")) {
                path += strspn(path, "/");
                if (path[0] == '.' && path[1] == '.' && (!path[2] || path[2] == '/'))
                        return true;
        }
        return false;
}

char *parser_path(struct parser *p, const struct node *node, const char *key)
{
        const char *text = parser_scalar(p, node, key, "a path");
        if (!text)
                return NULL;
        if (text[0] == '~' && text[1] && text[1] != '/') {
                cleanup_free char *word = shown(node->text, node->length);
                complain(p, node,
                         "'%s': of the names with a tilde only '~' and '~/...' are known, for the home directory of "
                         "whoever runs it; write './~...' for a file of that name",
                         word);
                return NULL;
        }
        if (climbs(text))
                return text[0] == '/' || text[0] == '~' ? memory_string(text) : path_join(p->directory, text);
        if (text[0] != '~')
                return path_clean(p->directory, text);
        cleanup_free char *below = path_clean("/", text + 1);
        return memory_format("~%s", below[1] ? below : "");
}

static void read_name(struct parser *p, const struct node *value)
{
        const char *name = parser_scalar(p, value, "name", "a name");
        if (!name)
                return;
        cleanup_error struct error err = ERROR_INIT;
        if (environment_name_check(name, &err) < 0)
                complain(p, value, "%s", err.text);
        else
                p->e->name = memory_string(name);
}

static void read_root(struct parser *p, const struct node *value)
{
        static const char *const words[] = {"host", "empty", NULL};
        const char *text = parser_scalar(p, value, "root", "'host', 'empty', an image or a directory");
        if (!text)
                return;
        if (strcmp(text, "host") == 0) {
                p->e->root = ROOT_HOST;
        } else if (strcmp(text, "empty") == 0) {
                p->e->root = ROOT_EMPTY;
        } else if (text[0] == '~' || strchr(text, '/')) {
                p->e->root_path = parser_path(p, value, "root");
                p->e->root = p->e->root_path ? ROOT_DIRECTORY : ROOT_HOST;
        } else if (image_exists(text)) {
                p->e->root = ROOT_IMAGE;
                p->e->root_path = memory_string(text);
        } else {
                /* A bare word could be a directory's name, or a slip: only a slash makes it a directory. */
                cleanup_free char *word = shown(value->text, value->length);
                const char *near = text_nearest(text, words);
                complain(p, value, "unknown root '%s'; %s%s%sa directory is written with a slash, as './%s'", word,
                         near ? "did you mean '" : "", near ? near : "", near ? "'? " : "", word);
        }
}

static void read_identity(struct parser *p, const struct node *value)
{
        static const char *const words[] = {"self", "root", NULL};
        if (value->kind == NODE_MAP) {
                complain(p, value,
                         "users of its own are known, but not available in this version of paddock: write 'self' or "
                         "'root'");
                return;
        }
        const char *word = parser_scalar(p, value, "identity", "'self' or 'root'");
        if (word && (parser_is_word(value, "self") || parser_is_word(value, "root")))
                p->e->identity = (enum identity_kind)identity_from_word(word);
        else if (word)
                parser_unknown(p, value, "identity", words, 2);
}

void parser_bool(struct parser *p, const struct node *node, const char *key, bool *value)
{
        const char *text = parser_scalar(p, node, key, "yes or no");
        if (!text)
                return;
        if (node->plain && (strcmp(text, "yes") == 0 || strcmp(text, "true") == 0)) {
                *value = true;
        } else if (!node->plain || (strcmp(text, "no") != 0 && strcmp(text, "false") != 0)) {
                cleanup_free char *word = shown(node->text, node->length);
                complain(p, node, "'%s' takes yes or no, without quotes, not '%s'", key, word);
        }
}

static void read_session(struct parser *p, const struct node *value)
{
        parser_bool(p, value, "session", &p->e->session);
}

static void read_grants(struct parser *p, const struct node *value)
{
        parser_grants(p, value, "grants", NULL, &p->e->grants);
}

static void read_hostname(struct parser *p, const struct node *value)
{
        const char *text = parser_scalar(p, value, "hostname", "a host name");
        cleanup_error struct error err = ERROR_INIT;
        if (!text)
                return;
        if (environment_hostname_check(text, &err) < 0) {
                complain(p, value, "%s", err.text);
                return;
        }
        p->e->hostname = memory_string(text);
}

/* Adds a rule to the view, or reports that it contradicts one that is there. */
static void add_rule(struct parser *p, const struct node *key, enum rule_kind kind, char **sources, size_t count)
{
        cleanup_free char *path = parser_path(p, key, "view");
        if (!path)
                return;
        struct view *view = &p->e->view;
        cleanup_error struct error err = ERROR_INIT;
        size_t before = view->count;
        if (view_add(view, kind, path, (const char *const *)sources, count, &err) == 0) {
                if (view->count > before)
                        *vector_add(p->lines, p->line_count, p->line_capacity) = key->line;
                return;
        }
        cleanup_free char *word = shown(path, strlen(path));
        for (size_t i = 0; i < view->count; i++)
                if (strcmp(view->rules[i].path, path) == 0)
                        complain(p, key, "two rules on '%s' contradict each other: '%s' on line %d, and '%s' here",
                                 word, rule_word(view->rules[i].kind), p->lines[i], rule_word(kind));
}

static void read_from(struct parser *p, const struct node *key, const struct node *value)
{
        cleanup_free char *source = parser_path(p, value, "from");
        if (source)
                add_rule(p, key, RULE_FROM, &source, 1);
}

static void read_union(struct parser *p, const struct node *key, const struct node *value)
{
        if (value->unusable)
                return;
        if (value->kind != NODE_LIST || !value->count || value->count > DESCRIPTION_SOURCE_LIMIT) {
                complain(p, value, "'union' takes a list of 1 to %d directories: {union: [PATH, PATH]}",
                         DESCRIPTION_SOURCE_LIMIT);
                return;
        }
        char **sources = memory_new(value->count * sizeof *sources);
        size_t good = 0;
        for (size_t i = 0; i < value->count; i++) {
                sources[good] = parser_path(p, &value->items[i], "union");
                good += sources[good] != NULL;
        }
        if (good == value->count)
                add_rule(p, key, RULE_UNION, sources, good);
        while (good)
                free(sources[--good]);
        free(sources);
}

/* How a rule is written: a word alone, or {word: value}. */
static const struct form {
        const char *word;
        void (*read)(struct parser *p, const struct node *key, const struct node *value); /* NULL: see below */
        enum { FORM_WORD, FORM_VALUE, FORM_LATER } form;
        const char *how; /* FORM_VALUE: how it is written */
} forms[] = {
        {"private", NULL, FORM_WORD, NULL},
        {"mirror", NULL, FORM_WORD, NULL},
        {"share", NULL, FORM_WORD, NULL},
        {"empty", NULL, FORM_WORD, NULL},
        {"hide", NULL, FORM_WORD, NULL},
        {"from", read_from, FORM_VALUE, "{from: PATH}"},
        {"union", read_union, FORM_VALUE, "{union: [PATH, PATH]}"},
        {"grant", parser_view_grant, FORM_VALUE, "{grant: ro} or {grant: rw}"},
        {"translator", NULL, FORM_LATER, NULL},
        {"start", NULL, FORM_LATER, NULL},
        {"device", NULL, FORM_LATER, NULL},
        {"channel", NULL, FORM_LATER, NULL},
};
#define FORMS (sizeof forms / sizeof *forms)

/* The form whose word `node` is; NULL after reporting that there is none in this version. */
static const struct form *form_of(struct parser *p, const struct node *node)
{
        const char *words[FORMS + 1] = {0};
        size_t available = 0;
        for (size_t i = 0; i < FORMS; i++) {
                words[i] = forms[i].word;
                available += forms[i].form != FORM_LATER;
                if (!parser_is_word(node, forms[i].word))
                        continue;
                if (forms[i].form != FORM_LATER)
                        return &forms[i];
                complain(p, node, later, forms[i].word);
                return NULL;
        }
        parser_unknown(p, node, "rule", words, available);
        return NULL;
}

static void read_rule(struct parser *p, const struct node *path, const struct node *value)
{
        static const char takes[] =
                "a rule (private, mirror, share, empty, hide, {from: PATH}, {union: [PATH, PATH]} or {grant: ro})";
        if (value->unusable)
                return;
        cleanup_free char *shown_path = shown(path->text, path->length);
        if (value->kind != NODE_MAP) {
                const char *word = parser_scalar(p, value, shown_path, takes);
                const struct form *form = word ? form_of(p, value) : NULL;
                if (form && form->form == FORM_VALUE)
                        complain(p, value, "'%s' needs a value: %s", form->word, form->how);
                else if (form)
                        add_rule(p, path, (enum rule_kind)rule_from_word(form->word), NULL, 0);
                return;
        }
        /* All of a map is looked at before it is refused for its size: the words tell more than the number. */
        const struct form *form = NULL;
        const struct node *argument = NULL;
        size_t rules = 0;
        bool good = true;
        for (size_t i = 0; i < value->count; i += 2) {
                const struct node *key = &value->items[i];
                const char *word = parser_scalar(p, key, "view", "a word in each rule");
                const struct form *found = word ? form_of(p, key) : NULL;
                if (found && found->form == FORM_WORD) {
                        complain(p, key, "'%s' takes no value: write it as PATH: %s", found->word, found->word);
                        found = NULL;
                }
                rules += found != NULL;
                good = good && found;
                form = found;
                argument = &value->items[i + 1];
        }
        if (rules > 1 || !value->count)
                complain(p, value, "'%s' takes one rule, not %zu", shown_path, rules);
        else if (good)
                form->read(p, path, argument);
}

static void read_view(struct parser *p, const struct node *value)
{
        if (parser_is_nothing(value) || value->unusable)
                return;
        if (value->kind != NODE_MAP) {
                complain(p, value, "'view' takes a map of PATH: RULE, not a %s",
                         value->kind == NODE_LIST ? "list" : "word");
                return;
        }
        if (value->count / 2 > DESCRIPTION_RULE_LIMIT) {
                complain(p, value, "a view has no more than %d rules", DESCRIPTION_RULE_LIMIT);
                return;
        }
        for (size_t i = 0; i < value->count; i += 2) {
                const struct node *path = &value->items[i];
                if (path->kind != NODE_SCALAR)
                        parser_scalar(p, path, "view", "a path before each colon");
                else if (!path->unusable)
                        read_rule(p, path, &value->items[i + 1]);
        }
}

static const struct key {
        const char *word;
        void (*read)(struct parser *p, const struct node *value); /* NULL: known, but of a later version */
} keys[] = {
        {"name", read_name},
        {"root", read_root},
        {"identity", read_identity},
        {"view", read_view},
        {"network", parser_network},
        {"sockets", parser_sockets},
        {"session", read_session},
        {"hostname", read_hostname},
        {"run", parser_run},
        {"init", parser_init},
        {"grants", read_grants},
        {"limits", parser_limits},
        {"channels", parser_channels},
        {"devices", NULL},
        {"nest", NULL},
};
#define KEYS (sizeof keys / sizeof *keys)

static void read_key(struct parser *p, const struct node *word, const struct node *value)
{
        const char *words[KEYS + 1] = {0};
        size_t available = 0;
        for (size_t i = 0; i < KEYS; i++) {
                words[i] = keys[i].word;
                available += keys[i].read != NULL;
                if (!parser_is_word(word, keys[i].word))
                        continue;
                if (keys[i].read)
                        keys[i].read(p, value);
                else
                        complain(p, word, later, keys[i].word);
                return;
        }
        parser_unknown(p, word, "key", words, available);
}

static void read_root_node(struct parser *p, const struct node *root)
{
        if (parser_is_nothing(root) || root->unusable)
                return;
        if (root->kind != NODE_MAP) {
                complain(p, root, "a description is a map of KEY: VALUE, not a %s",
                         root->kind == NODE_LIST ? "list" : "word");
                return;
        }
        for (size_t i = 0; i < root->count; i += 2) {
                const struct node *word = &root->items[i];
                if (word->kind != NODE_SCALAR)
                        complain(p, word, "a key is a word, not a %s", word->kind == NODE_LIST ? "list" : "map");
                else if (!word->unusable)
                        read_key(p, word, &root->items[i + 1]);
        }
}

int description_parse(struct environment *e, const char *text, size_t length, const char *origin, const char *directory,
                      struct text *problems)
{
        struct node root;
        struct problems found = {0};
        struct parser p = {.e = e, .problems = &found, .directory = directory};
        *e = (struct environment){0};
        if (yaml_read(text, length, &root, &found))
                read_root_node(&p, &root);
        bool good = !found.count;
        if (!good) {
                problems_print(&found, origin, problems);
                environment_clear(e);
        }
        free(p.lines);
        node_clear(&root);
        problems_clear(&found);
        return good ? 0 : -EINVAL;
}

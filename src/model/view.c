// SPDX-License-Identifier: GPL-3.0-or-later
/* Rules by path, the longest path wins: see view.h. */
#include "model/view.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <string.h>

static const char *const words[RULE_KINDS] = {
        [RULE_PRIVATE] = "private", [RULE_MIRROR] = "mirror", [RULE_SHARE] = "share", [RULE_EMPTY] = "empty",
        [RULE_HIDE] = "hide",       [RULE_FROM] = "from",     [RULE_UNION] = "union",
};

const char *rule_word(enum rule_kind kind)
{
        return words[kind];
}

int rule_from_word(const char *word)
{
        for (int kind = 0; kind < RULE_KINDS; kind++)
                if (strcmp(words[kind], word) == 0)
                        return kind;
        return -1;
}

static struct rule *find(struct view *view, const char *path)
{
        for (size_t i = 0; i < view->count; i++)
                if (strcmp(view->rules[i].path, path) == 0)
                        return &view->rules[i];
        return NULL;
}

static void rule_clear(struct rule *rule)
{
        for (size_t i = 0; i < rule->source_count; i++)
                free(rule->sources[i]);
        free(rule->sources);
        free(rule->path);
        *rule = (struct rule){0};
}

static bool same(const struct rule *rule, enum rule_kind kind, const char *const *sources, size_t count)
{
        if (rule->kind != kind || rule->source_count != count)
                return false;
        for (size_t i = 0; i < count; i++)
                if (strcmp(rule->sources[i], sources[i]) != 0)
                        return false;
        return true;
}

static void fill(struct rule *rule, enum rule_kind kind, const char *path, const char *const *sources, size_t count)
{
        rule->kind = kind;
        rule->path = memory_string(path);
        rule->sources = count ? memory_grow(NULL, count, sizeof *rule->sources) : NULL;
        rule->source_count = count;
        for (size_t i = 0; i < count; i++)
                rule->sources[i] = memory_string(sources[i]);
}

int view_add(struct view *view, enum rule_kind kind, const char *path, const char *const *sources,
             size_t source_count, struct error *err)
{
        bool fits = kind == RULE_FROM ? source_count == 1 : kind == RULE_UNION ? source_count >= 1 : !source_count;
        if (!fits)
                return error_set(err, EINVAL, "rule %s on %s: %zu sources given, which does not fit", rule_word(kind),
                                 path, source_count);
        struct rule *old = find(view, path);
        if (old && !old->by_default) {
                if (same(old, kind, sources, source_count))
                        return 0;
                return error_set(err, EEXIST, "two rules on %s contradict each other: %s and %s", path,
                                 rule_word(old->kind), rule_word(kind));
        }
        struct rule fresh = {0};
        fill(&fresh, kind, path, sources, source_count);
        if (old)
                rule_clear(old);
        else
                old = vector_add(view->rules, view->count, view->capacity);
        *old = fresh;
        return 0;
}

void view_add_default(struct view *view, enum rule_kind kind, const char *path, const char *source)
{
        if (find(view, path))
                return;
        struct rule *rule = vector_add(view->rules, view->count, view->capacity);
        fill(rule, kind, path, &source, source ? 1 : 0);
        rule->by_default = true;
}

static int by_path(const void *a, const void *b)
{
        return path_compare(((const struct rule *)a)->path, ((const struct rule *)b)->path);
}

void view_sort(struct view *view)
{
        if (view->count > 1)
                qsort(view->rules, view->count, sizeof *view->rules, by_path);
}

const struct rule *view_lookup(const struct view *view, const char *path)
{
        cleanup_free char *prefix = memory_string(path);
        for (;;) {
                struct rule key = {.path = prefix};
                if (view->count) {
                        const struct rule *hit = bsearch(&key, view->rules, view->count, sizeof key, by_path);
                        if (hit)
                                return hit;
                }
                if (!prefix[1])
                        return NULL;
                char *slash = strrchr(prefix, '/');
                slash[slash == prefix] = '\0';
        }
}

void view_copy(struct view *to, const struct view *from)
{
        *to = (struct view){0};
        for (size_t i = 0; i < from->count; i++) {
                const struct rule *rule = &from->rules[i];
                struct rule *copy = vector_add(to->rules, to->count, to->capacity);
                fill(copy, rule->kind, rule->path, (const char *const *)rule->sources, rule->source_count);
                copy->by_default = rule->by_default;
        }
}

void view_clear(struct view *view)
{
        for (size_t i = 0; i < view->count; i++)
                rule_clear(&view->rules[i]);
        free(view->rules);
        *view = (struct view){0};
}

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Grants in a description: a list of sets' names, paths and maps. A word of such a map is one row in `words` and one
 * function.
 */
#include "description/description.h"

#include "base/cleanup.h"
#include "description/parser.h"

#include <string.h>

struct reading {
        struct parser *p;
        struct grant grant;
        const struct node *kind; /* the word that names it: path or set */
        bool moded;
};

static void read_path(struct reading *r, const struct node *key, const struct node *value)
{
        if (r->kind)
                complain(r->p, key, "a grant has one 'path' or one 'set'");
        r->kind = key;
        free(r->grant.resource);
        r->grant.resource = parser_path(r->p, value, "path");
}

static void read_set_name(struct reading *r, const struct node *key, const struct node *value)
{
        const char *name = parser_scalar(r->p, value, "set", "the name of a set");
        if (r->kind)
                complain(r->p, key, "a grant has one 'path' or one 'set'");
        r->kind = key;
        if (!name)
                return;
        if (!grant_set_valid(name)) {
                cleanup_free char *word = shown(value->text, value->length);
                complain(r->p, value,
                         "'%s' cannot name a set: a name has 1 to 64 letters, digits, '.', '_' or '-' and begins with "
                         "a letter or digit",
                         word);
                return;
        }
        free(r->grant.set);
        r->grant.set = memory_string(name);
}

static void read_mode(struct reading *r, const struct node *key, const struct node *value)
{
        (void)key;
        static const char *const known[] = {"ro", "rw", NULL};
        const char *word = parser_scalar(r->p, value, "mode", "'ro' or 'rw'");
        r->moded = true;
        if (word && mode_from_word(word) < 0)
                parser_unknown(r->p, value, "mode", known, 2);
        r->grant.writable = word && mode_from_word(word) == 1;
}

static void read_at(struct reading *r, const struct node *key, const struct node *value)
{
        (void)key;
        free(r->grant.inside);
        r->grant.inside = parser_path(r->p, value, "at");
}

static void read_to(struct reading *r, const struct node *key, const struct node *value)
{
        (void)key;
        cleanup_error struct error err = ERROR_INIT;
        const char *name = parser_scalar(r->p, value, "to", "the name of an identity");
        if (!name)
                return;
        if (grant_identity_check(name, &err) < 0) {
                complain(r->p, value, "%s", err.text);
                return;
        }
        free(r->grant.to);
        r->grant.to = memory_string(name);
}

static void read_end(struct reading *r, const struct node *key, const struct node *value)
{
        bool span = parser_is_word(key, "for");
        cleanup_error struct error err = ERROR_INIT;
        const char *text = parser_scalar(r->p, value, span ? "for" : "until",
                                         span ? "a time span, as 1h" : "a date, in quotes");
        if (!text)
                return;
        if (r->grant.expiry != EXPIRY_NEVER)
                complain(r->p, key, "'for' and 'until' exclude each other");
        r->grant.expiry = span ? EXPIRY_SPAN : EXPIRY_TIME;
        int result = span ? grant_parse_span(text, &r->grant.seconds, &err)
                          : grant_parse_time(text, -1, &r->grant.seconds, &err);
        if (result < 0)
                complain(r->p, value, "%s; %s", err.text, err.remedy ? err.remedy : "");
}

static void read_flag(struct reading *r, const struct node *key, const struct node *value)
{
        const struct {
                const char *word;
                bool *flag;
        } flags[] = {{"no-exec", &r->grant.noexec},
                     {"plain", &r->grant.plain},
                     {"once", &r->grant.once},
                     {"locked", &r->grant.locked}};
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
                if (parser_is_word(key, flags[i].word))
                        parser_bool(r->p, value, flags[i].word, flags[i].flag);
}

static const struct word {
        const char *word;
        void (*read)(struct reading *r, const struct node *key, const struct node *value);
} words[] = {
        {"path", read_path},  {"set", read_set_name}, {"mode", read_mode},   {"at", read_at},
        {"to", read_to},      {"for", read_end},      {"until", read_end},   {"once", read_flag},
        {"plain", read_flag}, {"no-exec", read_flag}, {"locked", read_flag},
};
#define WORDS (sizeof words / sizeof *words)

static void read_word(struct reading *r, const struct node *key, const struct node *value)
{
        const char *known[WORDS + 1] = {0};
        if (!parser_scalar(r->p, key, "grants", "a word before each colon"))
                return;
        for (size_t i = 0; i < WORDS; i++) {
                known[i] = words[i].word;
                if (parser_is_word(key, words[i].word)) {
                        words[i].read(r, key, value);
                        return;
                }
        }
        parser_unknown(r->p, key, "word of a grant", known, WORDS);
}

static void read_map(struct reading *r, const struct node *item)
{
        for (size_t i = 0; i < item->count; i += 2)
                read_word(r, &item->items[i], &item->items[i + 1]);
        if (!r->kind)
                complain(r->p, item, "a grant needs a 'path' or a 'set'");
        else if (parser_is_word(r->kind, "set") &&
                 (r->grant.inside || r->moded || r->grant.once || r->grant.plain || r->grant.noexec))
                complain(r->p, item,
                         "a set says itself what it grants: beside 'set' there can be 'to', 'for', 'until' and "
                         "'locked'");
}

static void read_item(struct parser *p, const struct node *item, const char *set, struct grant_list *grants)
{
        struct reading r = {.p = p};
        size_t before = p->problems->count;
        if (item->unusable)
                return;
        const char *text = item->kind == NODE_MAP
                                   ? NULL
                                   : parser_scalar(p, item, "grants", "names of sets, paths, and maps with a path");
        if (item->kind == NODE_MAP)
                read_map(&r, item);
        else if (text && (text[0] == '~' || strchr(text, '/')))
                read_path(&r, item, item);
        else if (text)
                read_set_name(&r, item, item);
        if (set && r.grant.set && !r.grant.resource)
                complain(p, item, "a set holds no other sets: write the paths");
        cleanup_error struct error err = ERROR_INIT;
        if (p->problems->count == before && (r.grant.resource || r.grant.set)) {
                if (set)
                        r.grant.set = memory_string(set);
                if (grant_list_add(grants, &r.grant, &err) < 0)
                        complain(p, item, "%s", err.text);
        }
        grant_clear(&r.grant);
}

void parser_grants(struct parser *p, const struct node *value, const char *key, const char *set,
                   struct grant_list *grants)
{
        if (parser_is_nothing(value) || value->unusable)
                return;
        if (value->kind != NODE_LIST) {
                complain(p, value, "'%s' takes a list of grants: [NAME, PATH, {path: PATH, mode: rw}]", key);
                return;
        }
        if (value->count > DESCRIPTION_RULE_LIMIT) {
                complain(p, value, "there are no more than %d grants", DESCRIPTION_RULE_LIMIT);
                return;
        }
        for (size_t i = 0; i < value->count; i++)
                read_item(p, &value->items[i], set, grants);
}

void parser_view_grant(struct parser *p, const struct node *key, const struct node *value)
{
        struct reading r = {.p = p};
        size_t before = p->problems->count;
        cleanup_error struct error err = ERROR_INIT;
        read_path(&r, key, key);
        read_mode(&r, key, value);
        if (p->problems->count == before && r.grant.resource && grant_list_add(&p->e->grants, &r.grant, &err) < 0)
                complain(p, key, "%s", err.text);
        grant_clear(&r.grant);
}

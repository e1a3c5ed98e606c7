// SPDX-License-Identifier: GPL-3.0-or-later
/* `sockets:` of a description: inherit, or who answers connections that lead out. */
#include "description/parser.h"

#include "base/cleanup.h"

#include <string.h>

static void read_allow(struct parser *p, const struct node *value)
{
        if (value->unusable)
                return;
        if (value->kind != NODE_LIST) {
                complain(p, value, "'allow' takes a list, as [\"example.org:443\", \"*.debian.org\"]");
                return;
        }
        for (size_t i = 0; i < value->count; i++) {
                cleanup_error struct error err = ERROR_INIT;
                const char *rule = parser_scalar(p, &value->items[i], "allow", "HOST or HOST:PORT");
                if (rule && served_allow(&p->e->sockets, rule, &err) < 0)
                        complain(p, &value->items[i], "%s", err.text);
        }
}

static void read_serve(struct parser *p, const struct node *value)
{
        if (value->unusable)
                return;
        if (value->kind != NODE_LIST || !value->count) {
                complain(p, value, "'serve' takes a program and its words, as [paddock-sockets-policy, --allow, \"*\"]");
                return;
        }
        const char **words = memory_new(value->count * sizeof *words);
        bool good = true;
        for (size_t i = 0; i < value->count; i++) {
                words[i] = parser_scalar(p, &value->items[i], "serve", "a word of the command");
                good &= words[i] != NULL;
        }
        /* A program with a slash is one beside the description, as all its paths are. */
        cleanup_free char *path = good && strchr(words[0], '/') ? parser_path(p, &value->items[0], "serve") : NULL;
        words[0] = path ? path : words[0];
        cleanup_error struct error err = ERROR_INIT;
        if (good && served_by(&p->e->sockets, words, value->count, &err) < 0)
                complain(p, value, "%s", err.text);
        free(words);
}

void parser_sockets(struct parser *p, const struct node *value)
{
        static const char *const words[] = {"allow", "serve", "resolver", NULL};
        if (parser_is_nothing(value) || value->unusable)
                return;
        if (value->kind != NODE_MAP) {
                const char *text = parser_scalar(p, value, "sockets", "'inherit', {allow: [...]} or {serve: [...]}");
                if (text && strcmp(text, "inherit") != 0)
                        complain(p, value, "'sockets' takes 'inherit', {allow: [HOST:PORT]} or {serve: [COMMAND]}");
                return;
        }
        for (size_t i = 0; i < value->count; i += 2) {
                const struct node *word = &value->items[i], *to = &value->items[i + 1];
                if (word->kind != NODE_SCALAR || word->unusable) {
                        parser_scalar(p, word, "sockets", "a word");
                } else if (parser_is_word(word, "allow")) {
                        read_allow(p, to);
                } else if (parser_is_word(word, "serve")) {
                        read_serve(p, to);
                } else if (parser_is_word(word, "resolver")) {
                        cleanup_error struct error err = ERROR_INIT;
                        const char *text = parser_scalar(p, to, "resolver", "ADDRESS or ADDRESS:PORT");
                        if (text && served_resolver(&p->e->sockets, text, &err) < 0)
                                complain(p, to, "%s", err.text);
                } else {
                        parser_unknown(p, word, "key of 'sockets'", words, 3);
                }
        }
}

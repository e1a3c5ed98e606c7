// SPDX-License-Identifier: GPL-3.0-or-later
/* `limits:` of a description, a map of what is limited to how much. */
#include "description/parser.h"

#include "base/cleanup.h"

void parser_limits(struct parser *p, const struct node *value)
{
        static const char *const words[] = {"disk", "memory", "tasks", NULL};
        if (parser_is_nothing(value) || value->unusable)
                return;
        if (value->kind != NODE_MAP) {
                complain(p, value, "'limits' takes a map, as {disk: 2G}");
                return;
        }
        for (size_t i = 0; i < value->count; i += 2) {
                const struct node *word = &value->items[i], *size = &value->items[i + 1];
                if (word->kind != NODE_SCALAR || word->unusable) {
                        parser_scalar(p, word, "limits", "a word for each limit");
                } else if (parser_is_word(word, "disk")) {
                        const char *text = parser_scalar(p, size, "disk", "a size, as 512M or 2G");
                        cleanup_free char *seen = text ? shown(size->text, size->length) : NULL;
                        if (text && size_from_word(text, &p->e->disk) < 0)
                                complain(p, size, "'%s' is no size: it is written as 512M, 2G or a number of bytes",
                                         seen);
                } else if (parser_is_word(word, "memory") || parser_is_word(word, "tasks")) {
                        complain(p, word, "'%s' is known, but not available in this version of paddock", word->text);
                } else {
                        parser_unknown(p, word, "limit", words, 1);
                }
        }
}

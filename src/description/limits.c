// SPDX-License-Identifier: GPL-3.0-or-later
/* `limits:` of a description, a map of what is limited to how much. */
#include "description/parser.h"

#include "base/cleanup.h"

void parser_limits(struct parser *p, const struct node *value)
{
        static const char *const words[] = {"disk", "memory", "tasks", "cpu", "io", "files", "over", NULL};
        if (parser_is_nothing(value) || value->unusable)
                return;
        if (value->kind != NODE_MAP) {
                complain(p, value, "'limits' takes a map, as {disk: 2G}");
                return;
        }
        for (size_t i = 0; i < value->count; i += 2) {
                const struct node *word = &value->items[i], *size = &value->items[i + 1];
                size_t known = 0;
                if (word->kind != NODE_SCALAR || word->unusable) {
                        parser_scalar(p, word, "limits", "a word for each limit");
                        continue;
                }
                while (words[known] && !parser_is_word(word, words[known]))
                        known++;
                if (!words[known]) {
                        parser_unknown(p, word, "limit", words, sizeof words / sizeof *words - 1);
                        continue;
                }
                const char *text = parser_scalar(p, size, words[known],
                                                 known < 2    ? "a size, as 512M or 2G"
                                                 : known < 6 ? "a number"
                                                             : "tell, stop or freeze");
                cleanup_error struct error err = ERROR_INIT;
                if (text && limits_set(&p->e->limits, words[known], text, &err) < 0)
                        complain(p, size, "%s", err.text);
        }
}

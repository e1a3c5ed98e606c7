// SPDX-License-Identifier: GPL-3.0-or-later
/* `network:` of a description: a word, or a map with the uplink and what is published. */
#include "description/parser.h"

#include "base/cleanup.h"
#include "base/text.h"

static void read_published(struct parser *p, const struct node *value)
{
        if (parser_is_nothing(value) || value->unusable)
                return;
        if (value->kind != NODE_LIST) {
                complain(p, value, "'publish' takes a list, as ['8080:80']");
                return;
        }
        for (size_t i = 0; i < value->count; i++) {
                cleanup_error struct error err = ERROR_INIT;
                struct publish one;
                const char *text = parser_scalar(p, &value->items[i], "publish", "ports, as '8080:80'");
                if (text && (publish_from_word(text, &one, &err) < 0 || publish_add(&p->e->publish, &one, &err) < 0))
                        complain(p, &value->items[i], "%s", err.text);
        }
}

static void read_map(struct parser *p, const struct node *value)
{
        static const char *const words[] = {"uplink", "publish", "allow", NULL};
        bool uplink = false;
        for (size_t i = 0; i < value->count; i += 2) {
                const struct node *word = &value->items[i], *what = &value->items[i + 1];
                if (word->kind != NODE_SCALAR || word->unusable)
                        parser_scalar(p, word, "network", "'uplink' and 'publish'");
                else if (parser_is_word(word, "uplink"))
                        parser_bool(p, what, "uplink", &uplink);
                else if (parser_is_word(word, "publish"))
                        read_published(p, what);
                else if (parser_is_word(word, "allow"))
                        complain(p, word, "'allow' is known, but not available in this version of paddock");
                else
                        parser_unknown(p, word, "word of a network", words, 2);
        }
        p->e->network = uplink ? NETWORK_UPLINK : NETWORK_NONE;
        if (p->e->publish.count && !uplink)
                complain(p, value, "ports are published through an uplink: write 'uplink: yes' beside them");
}

void parser_network(struct parser *p, const struct node *value)
{
        static const char *const words[] = {"none", "inherit", "uplink", NULL};
        if (value->kind == NODE_MAP && !value->unusable) {
                read_map(p, value);
                return;
        }
        const char *text = parser_scalar(p, value, "network", "'none', 'inherit' or 'uplink', or a map");
        if (!text)
                return;
        if (network_from_word(text) >= 0)
                p->e->network = (enum network_kind)network_from_word(text);
        else
                parser_unknown(p, value, "network", words, 3);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* Published ports: see publish.h. */
#include "model/publish.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#define LOOPBACK "127.0.0.1"

static int malformed(const char *word, const char *why, struct error *err)
{
        cleanup_free char *shown = text_escape(word);
        error_set(err, EINVAL, "'%s' publishes no port: %s", shown, why);
        return error_remedy(err,
                            "it takes the form [ADDRESS:]PORT[:INSIDE][/udp], as 8080:80, *:8080:80 or [::1]:5353/udp");
}

/* Takes a port from the end of `text`, after its last colon if there is one, and cuts it off. */
static bool take_port(char *text, unsigned *port)
{
        char *colon = strrchr(text, ':'), *digits = colon ? colon + 1 : text;
        size_t length = strlen(digits);
        if (!length || length > 5 || strspn(digits, "0123456789") != length)
                return false;
        *port = (unsigned)strtoul(digits, NULL, 10);
        *(colon ? colon : text) = '\0';
        return *port >= 1 && *port <= 65535;
}

static bool is_address(const char *text, int family)
{
        unsigned char room[16];
        return inet_pton(family, text, room) == 1;
}

int publish_from_word(const char *word, struct publish *p, struct error *err)
{
        char text[PUBLISH_WORD];
        *p = (struct publish){.address = LOOPBACK};
        if ((size_t)snprintf(text, sizeof text, "%s", word) >= sizeof text)
                return malformed(word, "it is too long", err);
        if (text[0] == ':')
                return malformed(word, "a port or an address stands before the colon (one of IPv6 in brackets)", err);
        char *slash = strchr(text, '/');
        if (slash) {
                p->udp = strcmp(slash, "/udp") == 0;
                if (!p->udp && strcmp(slash, "/tcp") != 0)
                        return malformed(word, "behind the slash stands 'tcp' or 'udp'", err);
                *slash = '\0';
        }
        if (!take_port(text, &p->inner))
                return malformed(word, "a port is a number from 1 to 65535", err);
        /* What stands before is a port, or an address. */
        const char *before = strrchr(text, ':') ? strrchr(text, ':') + 1 : text;
        if (!*text || !isdigit((unsigned char)*before) || strspn(before, "0123456789") != strlen(before))
                p->outer = p->inner;
        else if (!take_port(text, &p->outer))
                return malformed(word, "a port is a number from 1 to 65535", err);
        if (p->udp && p->outer != p->inner)
                return malformed(word,
                                 "a udp port has the same number inside and outside (older versions of pasta lose "
                                 "the answers otherwise)",
                                 err);
        size_t length = strlen(text);
        if (!length)
                return 0;
        bool six = text[0] == '[' && text[length - 1] == ']';
        if (six)
                text[length - 1] = '\0';
        const char *address = text + six;
        if ((strcmp(text, "*") != 0 && !is_address(address, six ? AF_INET6 : AF_INET)) ||
            strlen(address) >= sizeof p->address)
                return malformed(word, "its address is none (one of IPv6 stands in brackets)", err);
        memcpy(p->address, address, strlen(address) + 1);
        return 0;
}

const char *publish_to_word(const struct publish *p, char word[PUBLISH_WORD])
{
        bool six = strchr(p->address, ':'), plain = strcmp(p->address, LOOPBACK) == 0;
        snprintf(word, PUBLISH_WORD, "%s%s%s%u:%u%s", six ? "[" : "", plain ? "" : p->address,
                 six     ? "]:"
                 : plain ? ""
                         : ":",
                 p->outer, p->inner, p->udp ? "/udp" : "");
        return word;
}

int publish_add(struct publish_list *list, const struct publish *p, struct error *err)
{
        for (size_t i = 0; i < list->count; i++) {
                const struct publish *other = &list->items[i];
                if (other->udp != p->udp || other->outer != p->outer || strcmp(other->address, p->address) != 0)
                        continue;
                if (other->inner == p->inner)
                        return 0;
                return error_set(err, EEXIST, "port %u of %s is published twice, to the ports %u and %u inside",
                                 p->outer, p->address, other->inner, p->inner);
        }
        if (list->count >= PUBLISH_LIMIT)
                return error_set(err, E2BIG, "at most %d ports can be published", PUBLISH_LIMIT);
        *vector_add(list->items, list->count, list->capacity) = *p;
        return 0;
}

bool publish_has(const struct publish_list *list, const struct publish *p)
{
        for (size_t i = 0; i < list->count; i++) {
                const struct publish *other = &list->items[i];
                if (other->udp == p->udp && other->outer == p->outer && other->inner == p->inner &&
                    strcmp(other->address, p->address) == 0)
                        return true;
        }
        return false;
}

void publish_copy(struct publish_list *to, const struct publish_list *from)
{
        *to = (struct publish_list){0};
        for (size_t i = 0; i < from->count; i++)
                *vector_add(to->items, to->count, to->capacity) = from->items[i];
}

void publish_clear(struct publish_list *list)
{
        free(list->items);
        *list = (struct publish_list){0};
}

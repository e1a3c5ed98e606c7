// SPDX-License-Identifier: GPL-3.0-or-later
/* Rules for connections: see rule.h. */
#include "rule.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, 0xff};

static bool parse_number(const char *text, unsigned most, unsigned *value)
{
        char *end;
        if (*text < '0' || *text > '9')
                return false;
        unsigned long n = strtoul(text, &end, 10);
        *value = (unsigned)n;
        return !*end && n <= most;
}

static bool parse_ports(char *text, struct rule *r)
{
        char *dash = strchr(text, '-');
        if (dash)
                *dash = '\0';
        return parse_number(text, 65535, &r->first) && parse_number(dash ? dash + 1 : text, 65535, &r->last) && r->first <= r->last;
}

/* ADDRESS or ADDRESS/BITS. The rest of a network's address is no part of it. */
static bool parse_network(const char *host, const char *bits, struct rule *r)
{
        unsigned length = 0;
        bool four = inet_pton(AF_INET, host, r->address + 12) == 1;
        if (four)
                memcpy(r->address, mapped, 12);
        else if (inet_pton(AF_INET6, host, r->address) != 1)
                return false;
        if (bits && !parse_number(bits, four ? 32 : 128, &length))
                return false;
        r->kind = RULE_NETWORK;
        r->bits = !bits ? 128 : four ? 96 + length : length;
        return true;
}

static bool parse_name(const char *host, struct rule *r)
{
        r->kind = strncmp(host, "*.", 2) == 0 ? RULE_BELOW : RULE_NAME;
        host += r->kind == RULE_BELOW ? 2 : 0;
        size_t length = strlen(host);
        if (length && host[length - 1] == '.')
                length--;
        if (!length || length > 253 || host[0] == '.' || strspn(host, "0123456789.") >= length)
                return false;
        for (size_t i = 0; i < length; i++) {
                char c = host[i];
                if (c >= 'A' && c <= 'Z')
                        c = (char)(c + 'a' - 'A');
                if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                      (c == '.' && host[i - 1] != '.')))
                        return false;
                r->name[i] = c;
        }
        return true;
}

bool rule_parse(const char *text, bool deny, struct rule *r)
{
        char copy[320];
        *r = (struct rule){.deny = deny, .last = 65535};
        if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
                return false;
        char *host = copy, *rest = NULL;
        if (copy[0] == '[') {
                host = copy + 1;
                rest = strchr(host, ']');
                if (!rest)
                        return false;
                *rest++ = '\0';
                if (!strchr(host, ':'))
                        return false;
        } else if (strchr(copy, ':') && strchr(copy, ':') != strrchr(copy, ':')) {
                rest = strchr(copy, '/'); /* IPv6 without brackets, and so without a port */
                rest = rest ? rest : copy + strlen(copy);
        } else {
                rest = copy + strcspn(copy, "/:");
        }
        char *bits = NULL, *port = NULL;
        if (*rest == '/') {
                *rest = '\0';
                bits = rest + 1;
                rest = bits + strcspn(bits, ":");
        }
        if (*rest == ':') {
                *rest = '\0';
                port = rest + 1;
        } else if (*rest) {
                return false;
        }
        if (port && !parse_ports(port, r))
                return false;
        if (parse_network(host, bits, r))
                return true;
        if (bits || host != copy)
                return false;
        if (strcmp(host, "*") == 0)
                return true;
        return parse_name(host, r);
}

bool rule_address(const void *address, size_t size, uint8_t bytes[16], unsigned *port)
{
        const struct sockaddr_in *four = address;
        const struct sockaddr_in6 *six = address;
        if (size >= sizeof *four && four->sin_family == AF_INET) {
                memcpy(bytes, mapped, 12);
                memcpy(bytes + 12, &four->sin_addr, 4);
                *port = ntohs(four->sin_port);
                return true;
        }
        if (size < sizeof *six || six->sin6_family != AF_INET6)
                return false;
        memcpy(bytes, &six->sin6_addr, 16);
        *port = ntohs(six->sin6_port);
        return true;
}

static bool in_network(const uint8_t address[16], const uint8_t network[16], unsigned bits)
{
        unsigned whole = bits / 8, rest = bits % 8;
        return memcmp(address, network, whole) == 0 &&
               (!rest || (address[whole] ^ network[whole]) >> (8 - rest) == 0);
}

static bool is_below(const char *name, const char *top)
{
        size_t length = strlen(name), of = strlen(top);
        return length > of + 1 && name[length - of - 1] == '.' && strcmp(name + length - of, top) == 0;
}

static bool names_it(const struct rule *r, const char *name)
{
        return r->kind == RULE_ANY || (r->kind == RULE_NAME && strcmp(r->name, name) == 0) ||
               (r->kind == RULE_BELOW && is_below(name, r->name));
}

/* Larger is more specific. */
static unsigned weight(const struct rule *r)
{
        unsigned by_kind = r->kind == RULE_ANY       ? 0
                           : r->kind == RULE_BELOW   ? 1000 + (unsigned)strlen(r->name)
                           : r->kind == RULE_NETWORK ? (r->bits == 128 ? 3000 : 1300 + r->bits)
                                                     : 2000;
        return by_kind * 4 + (r->first || r->last != 65535 ? 2 : 0) + (r->deny ? 1 : 0);
}

struct rule *rule_decides(struct rule *rules, size_t count, const uint8_t address[16], unsigned port,
                          const char *const *names, size_t name_count)
{
        struct rule *best = NULL;
        for (size_t i = 0; i < count; i++) {
                struct rule *r = &rules[i];
                bool matches = r->kind == RULE_ANY || (r->kind == RULE_NETWORK && in_network(address, r->address, r->bits));
                /* A name that leads into a private network was given that address by somebody outside (DNS rebinding):
                 * such networks are allowed by their addresses. */
                for (size_t n = 0; n < name_count && !matches; n++)
                        matches = (r->kind == RULE_NAME || r->kind == RULE_BELOW) && names_it(r, names[n]) &&
                                  (r->deny || !rule_is_private(address));
                if (matches && port >= r->first && port <= r->last && (!best || weight(r) > weight(best)))
                        best = r;
        }
        return best;
}

bool rule_may_resolve(const struct rule *rules, size_t count, const char *name)
{
        const struct rule *best = NULL;
        bool any = false;
        for (size_t i = 0; i < count; i++) {
                const struct rule *r = &rules[i];
                if (r->kind == RULE_NETWORK || !names_it(r, name))
                        continue;
                any |= !r->deny;
                bool whole = !r->first && r->last == 65535; /* a rule for one port says nothing of the others */
                if (whole && (!best || weight(r) > weight(best)))
                        best = r;
        }
        if (!any || !best || !best->deny)
                return any;
        for (size_t i = 0; i < count; i++) /* denied as a whole: but a more specific rule may allow a port */
                if (!rules[i].deny && rules[i].kind != RULE_NETWORK && names_it(&rules[i], name) && weight(&rules[i]) > weight(best))
                        return true;
        return false;
}

bool rule_is_private(const uint8_t a[16])
{
        static const struct {
                const char *network;
                unsigned bits;
        } networks[] = {
                {"0.0.0.0", 8},     {"10.0.0.0", 8},     {"100.64.0.0", 10}, {"127.0.0.0", 8},    {"169.254.0.0", 16},
                {"172.16.0.0", 12}, {"192.168.0.0", 16}, {"224.0.0.0", 3}, /* RFC 1122, 1918, 6598, 3927, 5771 */
        };
        if (memcmp(a, mapped, 12) != 0)
                return (a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0x80)) || a[0] == 0xff ||
                       memcmp(a, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15) == 0; /* RFC 4193, 4291 */
        for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
                uint8_t network[16];
                memcpy(network, mapped, 12);
                inet_pton(AF_INET, networks[i].network, network + 12);
                if (in_network(a, network, 96 + networks[i].bits))
                        return true;
        }
        return false;
}

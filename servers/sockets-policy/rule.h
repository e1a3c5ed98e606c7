// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Rules for connections: HOST[:PORT].
 *
 *      HOST    a name; *.NAME, for every name below NAME and not itself; an address; a network, ADDRESS/BITS; or *
 *              IPv6 in brackets where a port or bits follow: [2001:db8::1]:443, [fd00::]/8
 *      PORT    a number, or a range FIRST-LAST; without one every port
 *
 * The most specific rule decides, and of two that are as specific the one that denies: an address before a network, a
 * longer one before a shorter one, a name before *.NAME, the longer of those first, anything before *; with a port
 * before without. Rules of addresses and of names are looked at together.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rule_kind { RULE_ANY, RULE_NAME, RULE_BELOW, RULE_NETWORK };

struct rule {
        enum rule_kind kind;
        bool deny;
        char name[256];         /* RULE_NAME, RULE_BELOW (without "*."): lower case, no last dot */
        uint8_t address[16];    /* RULE_NETWORK; IPv4 as ::ffff:0:0/96 has it */
        unsigned bits;          /* of these 128 */
        unsigned first, last;   /* ports */
        uint64_t used;
};

/* False: it has no such form. */
bool rule_parse(const char *text, bool deny, struct rule *rule);

/* The two forms of an address as one; false: neither IPv4 nor IPv6. *port: in the machine's order. */
bool rule_address(const void *address, size_t size, uint8_t bytes[16], unsigned *port);

/* The rule that decides on a connection to an address, or NULL. `names`: those that the address is known by. */
struct rule *rule_decides(struct rule *rules, size_t count, const uint8_t address[16], unsigned port,
                          const char *const *names, size_t name_count);

/* Could a connection by this name be allowed at some port? */
bool rule_may_resolve(const struct rule *rules, size_t count, const char *name);

/* An address that a name of the outer world has no business to have: loopback, private, link-local, of this network. */
bool rule_is_private(const uint8_t address[16]);

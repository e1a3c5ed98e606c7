// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages of the domain name system (RFC 1035), as far as the resolver inside reads them. Everything in one is
 * hostile. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_HEADER 12
#define DNS_NAME 256 /* of the presentation form kept here, its end included */

struct dns_question {
        uint16_t id, type, class_;
        char name[DNS_NAME]; /* lower case, without the last dot; "" is the root */
        size_t end;          /* of the question in the message */
};

/* The one question of a query or of an answer. False: it is no such message. */
bool dns_question(const uint8_t *message, size_t size, struct dns_question *q);

/* Each address that an answer gives, also behind aliases, for the name that was asked. */
typedef void dns_address(void *context, const uint8_t *address, size_t size, uint32_t seconds);
void dns_addresses(const uint8_t *message, size_t size, dns_address *found, void *context);

/* The answer "there is no such name" (code 3) or another code to a query, in `answer`. Returns its size. */
size_t dns_refusal(const uint8_t *query, const struct dns_question *q, unsigned code, uint8_t *answer, size_t room);

bool dns_is_truncated(const uint8_t *message, size_t size);

// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages of the domain name system: see dnsmessage.h. */
#include "dnsmessage.h"

#include <string.h>

#define TYPE_A 1
#define TYPE_CNAME 5
#define TYPE_AAAA 28
#define CLASS_IN 1
#define POINTERS 32 /* more in one name lead in a circle */
#define LONGEST 3600 /* seconds that an address is believed to have its name, whatever it says */

static uint16_t number16(const uint8_t *at)
{
        return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t number32(const uint8_t *at)
{
        return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Reads the name at *at, and sets *at behind it. `name` may be NULL. `pointers`: so many may lead to names before. */
static bool read_name(const uint8_t *message, size_t size, size_t *at, char name[DNS_NAME], unsigned pointers)
{
        size_t from = *at, length = 0;
        bool jumped = false;
        for (unsigned jumps = 0; from < size;) {
                uint8_t label = message[from];
                if ((label & 0xc0) == 0xc0) {
                        if (from + 1 >= size || ++jumps > pointers)
                                return false;
                        if (!jumped)
                                *at = from + 2;
                        jumped = true;
                        from = (size_t)(label & 0x3f) << 8 | message[from + 1];
                        continue;
                }
                if (label & 0xc0)
                        return false;
                if (!label) {
                        if (!jumped)
                                *at = from + 1;
                        if (name)
                                name[length ? length - 1 : 0] = '\0';
                        return true;
                }
                if (from + 1 + label > size)
                        return false;
                for (size_t i = 1; name && i <= label; i++) {
                        uint8_t c = message[from + i];
                        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
                        if (c >= 'A' && c <= 'Z')
                                plain = true, c = (uint8_t)(c + 'a' - 'A');
                        if (length + 6 > DNS_NAME) /* an escape, a dot and the end */
                                return false;
                        if (plain) {
                                name[length++] = (char)c;
                        } else { /* a dot within a label too: it must not look like one between two */
                                name[length++] = '\\';
                                name[length++] = (char)('0' + c / 100);
                                name[length++] = (char)('0' + c / 10 % 10);
                                name[length++] = (char)('0' + c % 10);
                        }
                }
                if (name)
                        name[length++] = '.';
                from += 1u + label;
        }
        return false;
}

bool dns_question(const uint8_t *message, size_t size, struct dns_question *q)
{
        *q = (struct dns_question){0};
        if (size < DNS_HEADER || number16(message + 4) != 1)
                return false;
        q->id = number16(message);
        size_t at = DNS_HEADER;
        if (!read_name(message, size, &at, q->name, 0) || at + 4 > size)
                return false;
        q->type = number16(message + at);
        q->class_ = number16(message + at + 2);
        q->end = at + 4;
        return true;
}

void dns_addresses(const uint8_t *message, size_t size, dns_address *found, void *context)
{
        struct dns_question q;
        /* Opcode 0, an answer, code 0. */
        if (!dns_question(message, size, &q) || (message[2] & 0xf8) != 0x80 || (message[3] & 0x0f))
                return;
        unsigned answers = number16(message + 6);
        size_t at = q.end;
        uint32_t least = LONGEST;
        for (unsigned i = 0; i < answers; i++) {
                if (!read_name(message, size, &at, NULL, POINTERS) || at + 10 > size)
                        return;
                uint16_t type = number16(message + at), class_ = number16(message + at + 2);
                uint32_t seconds = number32(message + at + 4);
                size_t length = number16(message + at + 8);
                at += 10;
                if (at + length > size)
                        return;
                seconds = seconds < LONGEST ? seconds : LONGEST;
                if (class_ == CLASS_IN && type == TYPE_CNAME && seconds < least)
                        least = seconds;
                if (class_ == CLASS_IN && ((type == TYPE_A && length == 4) || (type == TYPE_AAAA && length == 16)))
                        found(context, message + at, length, seconds < least ? seconds : least);
                at += length;
        }
}

size_t dns_refusal(const uint8_t *query, const struct dns_question *q, unsigned code, uint8_t *answer, size_t room)
{
        if (q->end > room)
                return 0;
        memcpy(answer, query, q->end);
        answer[2] = (uint8_t)(0x80 | (query[2] & 0x79)); /* an answer; opcode and "recursion desired" as asked */
        answer[3] = (uint8_t)(0x80 | (code & 0x0f));     /* recursion available */
        memset(answer + 6, 0, 6);
        return q->end;
}

bool dns_is_truncated(const uint8_t *message, size_t size)
{
        return size >= DNS_HEADER && message[2] & 2;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages of the domain name system that programs inside send, and rules for connections that people write. */
#include "servers/sockets-policy/rule.h"
#include "servers/supervisor/dnsmessage.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void found(void *context, const uint8_t *address, size_t size, uint32_t seconds)
{
        (void)seconds;
        *(unsigned *)context += address[size - 1];
}

static void message(const uint8_t *data, size_t size)
{
        struct dns_question q;
        uint8_t refusal[512];
        unsigned sum = 0;
        dns_addresses(data, size, found, &sum);
        if (!dns_question(data, size, &q))
                return;
        if (strlen(q.name) >= DNS_NAME || q.end > size || strpbrk(q.name, "ABCXYZ \n"))
                abort();
        size_t length = dns_refusal(data, &q, 3, refusal, sizeof refusal);
        struct dns_question again;
        if (length && (!dns_question(refusal, length, &again) || strcmp(again.name, q.name) != 0))
                abort();
}

static void rule(const uint8_t *data, size_t size)
{
        char text[400];
        struct rule r;
        uint8_t address[16] = {1};
        size = size < sizeof text ? size : sizeof text - 1;
        memcpy(text, data, size);
        text[size] = '\0';
        if (!rule_parse(text, false, &r))
                return;
        if (r.first > r.last || r.last > 65535 || r.bits > 128)
                abort();
        const char *const names[] = {"www.example.org"};
        rule_decides(&r, 1, address, 80, names, 1);
        rule_may_resolve(&r, 1, names[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size && data[0] == 'r')
                rule(data + 1, size - 1);
        else if (size)
                message(data + 1, size - 1);
        return 0;
}

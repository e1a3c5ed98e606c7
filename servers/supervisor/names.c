// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * By which name an address was looked up last in this environment. An address may have many names, and a name of
 * today none of tomorrow: what is remembered is what the resolver inside said, as long as that was to hold and a
 * while longer, because programs keep addresses longer than they should.
 */
#include "supervisor.h"

#include "base/cleanup.h"
#include "dnsmessage.h"

#include <string.h>

#define NAMES 4096 /* a power of two; the oldest of four is forgotten */
#define WAYS 4
#define GRACE 600 /* seconds beyond what was said */

struct name {
        uint8_t address[16];
        int64_t until; /* 0: free */
        char name[DNS_NAME];
};

/* IPv4 as IPv6 has it, so that both forms are one. */
static void key_of(const union address *a, uint8_t key[16])
{
        static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
        if (a->any.sa_family == AF_INET) {
                memcpy(key, mapped, 12);
                memcpy(key + 12, &a->four.sin_addr, 4);
        } else {
                memcpy(key, &a->six.sin6_addr, 16);
        }
}

static struct name *set_of(struct supervisor *s, const uint8_t key[16])
{
        uint64_t hash = 1469598103934665603u; /* FNV-1a */
        for (int i = 0; i < 16; i++)
                hash = (hash ^ key[i]) * 1099511628211u;
        return s->names + (hash >> 7 & (NAMES / WAYS - 1)) * WAYS;
}

void names_learn(struct supervisor *s, const union address *address, const char *name, uint32_t seconds)
{
        uint8_t key[16];
        if (!s->names)
                s->names = memory_new(NAMES * sizeof *s->names);
        key_of(address, key);
        struct name *set = set_of(s, key), *to = set;
        for (int i = 0; i < WAYS; i++) {
                if (set[i].until && memcmp(set[i].address, key, 16) == 0) {
                        to = &set[i];
                        break;
                }
                if (set[i].until < to->until)
                        to = &set[i];
        }
        memcpy(to->address, key, 16);
        to->until = clock_ms() + ((int64_t)seconds + GRACE) * 1000;
        snprintf(to->name, sizeof to->name, "%s", name);
}

const char *names_find(struct supervisor *s, const union address *address)
{
        uint8_t key[16];
        if (!s->names)
                return "";
        key_of(address, key);
        struct name *set = set_of(s, key);
        for (int i = 0; i < WAYS; i++)
                if (memcmp(set[i].address, key, 16) == 0 && set[i].until > clock_ms())
                        return set[i].name;
        return "";
}

void names_clear(struct supervisor *s)
{
        free(s->names);
        s->names = NULL;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Ports of the main system that lead into an environment with an uplink, as in "[ADDRESS:]PORT[:INSIDE][/udp]".
 * Without an address it is the loopback one: who wants others to connect says so, with an address of the machine or
 * '*'.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct publish {
        char address[48]; /* where it listens outside, without brackets; "*": everywhere */
        unsigned outer, inner;
        bool udp;
};
#define PUBLISH_LIMIT 32

struct publish_list {
        struct publish *items;
        size_t count, capacity;
};

/* Reads one. EINVAL. */
int publish_from_word(const char *word, struct publish *p, struct error *err);
/* And writes it, so that it is read as the same. */
#define PUBLISH_WORD 80
const char *publish_to_word(const struct publish *p, char word[PUBLISH_WORD]);

/* Adds it. EEXIST: another is at the same port and address; E2BIG. */
int publish_add(struct publish_list *list, const struct publish *p, struct error *err);
bool publish_has(const struct publish_list *list, const struct publish *p);
void publish_copy(struct publish_list *to, const struct publish_list *from);
void publish_clear(struct publish_list *list);

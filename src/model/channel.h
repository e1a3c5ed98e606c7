// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A channel as it is described: a named link between an environment and the outside. Here it is a value: what a
 * description lists, what `paddock channel` asks for, what a file keeps between two starts. Nothing here looks at a
 * file system or a network.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_PLACE "/run/paddock/channel" /* inside; each is the name of one */

enum channel_form { FORM_NONE, FORM_STREAM, FORM_MESSAGES, FORM_PORT, FORM_FILES, FORM_EXEC };

/* Where a stream, or messages, lead: both sides come and meet, or one of them listens. */
enum channel_leads { LEADS_MEETING, LEADS_OUTSIDE, LEADS_INSIDE, LEADS_OTHER };

struct channel_plan {
        char *name;
        enum channel_form form;
        enum channel_leads leads; /* STREAM, MESSAGES */
        char *where;   /* the name of a socket, or LEADS_OTHER: of an environment; LEADS_MEETING: NULL */
        char **words;  /* PORT: from and to. FILES: a directory, or none. EXEC: NAME PROGRAM ARGUMENT... [-- ...] */
        size_t count, capacity;
};

struct channel_plans {
        struct channel_plan *items;
        size_t count, capacity;
};
#define CHANNELS_LIMIT 256

#define cleanup_channel_plan __attribute__((cleanup(channel_plan_clear)))
#define cleanup_channel_plans __attribute__((cleanup(channel_plans_clear)))

/* "stream", ...; FORM_NONE. */
enum channel_form channel_form_of(const char *word);
const char *channel_form_word(enum channel_form form);
/* The word for it ("outside", "inside", "to"), NULL for MEETING, and the reverse. */
const char *channel_leads_word(enum channel_leads leads);
enum channel_leads channel_leads_of(const char *word);

/* Can a channel have that name? */
int channel_name_check(const char *name, struct error *err);
/* Is all of it as it must be? Names outside are absolute, or begin with "~". EINVAL and what it is. */
int channel_plan_check(const struct channel_plan *plan, struct error *err);

/* One end of a port: "outside:8080", "inside:127.0.0.1:80", "inside:[::1]:53/udp", "outside:/run/x.sock". */
struct channel_at {
        bool inside, udp;
        bool six;         /* of `address` */
        unsigned port;    /* 0: `path` */
        uint8_t address[16];
        const char *path; /* in the word that it was read from */
};
int channel_at_from_word(const char *word, struct channel_at *at, struct error *err);

void channel_plan_word(struct channel_plan *plan, const char *word);
void channel_plan_clear(struct channel_plan *plan);
/* Adds a copy of one that is as it must be. EEXIST when there is one of that name, E2BIG. */
int channel_plans_add(struct channel_plans *plans, const struct channel_plan *plan, struct error *err);
/* The one of that name, or NULL; and takes it out. */
const struct channel_plan *channel_plans_find(const struct channel_plans *plans, const char *name);
bool channel_plans_remove(struct channel_plans *plans, const char *name);
void channel_plans_copy(struct channel_plans *to, const struct channel_plans *from);
void channel_plans_clear(struct channel_plans *plans);

/* The stored form: fields, each behind a tab and escaped, without a newline; and back. -EINVAL. */
void channel_plan_to_fields(struct text *t, const struct channel_plan *plan);
int channel_plans_add_fields(struct channel_plans *plans, char *const *fields, size_t count, struct error *err);

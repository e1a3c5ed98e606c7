// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A grant: the right of an environment, or of an identity in it, on a thing outside: a tree, a file or a UNIX socket.
 *
 * Here it is a value: what a description lists, what `paddock grant` asks for, what a file keeps between two starts.
 * What is granted now is the warden's business (warden/grants.c). Nothing here looks at a file system or a clock.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* A channel's `resource` says which kind it is, a space, and what is at its other end. It is never kept. */
enum resource_kind { RESOURCE_UNKNOWN, RESOURCE_TREE, RESOURCE_FILE, RESOURCE_SOCKET, RESOURCE_CHANNEL };

enum expiry_kind {
        EXPIRY_NEVER,
        EXPIRY_SPAN, /* so many seconds after it is given */
        EXPIRY_TIME, /* at that time, in seconds since 1970 */
};

struct grant {
        char *resource; /* its name outside: absolute, or "~" or "~/..."; NULL: this stands for the named set `set` */
        char *inside;   /* its name inside; NULL: the same */
        char *set;      /* the named set that it comes from */
        char *to;       /* the identity inside that has it; NULL: the environment */
        enum resource_kind kind; /* UNKNOWN until somebody has looked */
        bool writable;
        bool noexec;    /* nothing in it can be executed */
        bool plain;     /* given natively: what is open stays open when it is taken back */
        bool keep;      /* given again at later starts */
        bool once;      /* ends with its first use */
        bool locked;    /* no command overrides it */
        enum expiry_kind expiry;
        long long seconds; /* of expiry */
};

struct grant_list {
        struct grant *grants;
        size_t count, capacity;
};

#define cleanup_grant __attribute__((cleanup(grant_clear)))
#define cleanup_grant_list __attribute__((cleanup(grant_list_clear)))

void grant_clear(struct grant *grant);
void grant_copy(struct grant *to, const struct grant *from);
void grant_list_clear(struct grant_list *grants);
void grant_list_copy(struct grant_list *to, const struct grant_list *from);
/* Adds a copy. EEXIST when there is one on the same name inside, for the same identity, that says something else; one
 * that says the same is the same grant. */
int grant_list_add(struct grant_list *grants, const struct grant *grant, struct error *err);
bool grant_equal(const struct grant *a, const struct grant *b);
/* The name inside: `inside`, or `resource`. */
const char *grant_inside(const struct grant *grant);

/* "tree", "file", "socket", "channel"; "ro", "rw". resource_from_word() knows no channel. */
const char *resource_word(enum resource_kind kind);
enum resource_kind resource_from_word(const char *word);
const char *mode_word(bool writable);
/* 1 for "rw", 0 for "ro", -1. */
int mode_from_word(const char *word);

/* Can the set have that name? As an environment's; and no "/" or "~" in it tells it from a resource. */
bool grant_set_valid(const char *name);
/* Can an identity inside have that name? A user's name, as useradd takes it. */
int grant_identity_check(const char *name, struct error *err);

/* The stored form: fields "key=value" and single words, each behind a tab and escaped, without a newline. */
void grant_to_fields(struct text *t, const struct grant *grant);
/* Reads `count` unescaped fields. -EINVAL when one is not known. */
int grant_from_fields(struct grant *grant, char *const *fields, size_t count, struct error *err);
/* Reads one line of the stored form (as grant_to_fields() made it, after the first tab). */
int grant_from_line(struct grant *grant, const char *line, struct error *err);

/* How long: "90s", "15m", "1h", "1h30m", "2d", "1w". At most ten years. */
int grant_parse_span(const char *text, long long *seconds, struct error *err);
/* "1h 30m", for people. Fresh memory. */
char *grant_span(long long seconds);
/* Until when, in the time zone of whoever asks: "18:30" (the next), "2027-01-31", "2027-01-31 18:30", with seconds,
 * with "T" between, with a "Z" for UTC. `now` in seconds since 1970; -1: it must be a date, and may be past. */
int grant_parse_time(const char *text, long long now, long long *seconds, struct error *err);

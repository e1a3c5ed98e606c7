// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The way from a node to the file outside.
 *
 * Theory of operation. What is open inside is open outside too, and reached by that descriptor. Anything else is opened
 * (O_PATH) by one of its names, from the source's descriptor, with openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
 * RESOLVE_NO_MAGICLINKS), and then compared with the node. Whatever is swapped for a link or another file meanwhile, a
 * wrong file is never taken: what is done is done to the descriptor that was compared. A few directories stay open for
 * a second.
 */
#pragma once

#include "grant.h"

struct target {
        int fd; /* O_PATH, or open for whatever it is open for inside */
        struct handle *handle; /* pinned; NULL: none */
        struct kept *kept;
        bool own, seen;        /* seen: `st` is filled */
        struct statx st;
};

/* Room for the name of a descriptor in /proc/self/fd. */
#define DESCRIPTOR_NAME 32

int target_get(struct grant *g, uint64_t id, struct target *t);
void target_put(struct grant *g, struct target *t);
/* Fills t->st, also when it is filled already (`again`). */
int target_stat(struct target *t, bool again);

int stat_name(int directory, const char *name, struct statx *st);
struct identity identity_of(const struct statx *st);
struct stamp stamp_of(const struct statx *st);
bool stamp_same(const struct stamp *a, const struct stamp *b);

/* openat2 as above. Returns the descriptor or a negative errno. */
int open_beneath(int directory, const char *path, int flags);
/* The file of an O_PATH descriptor opened for something. */
int reopen(const struct grant *g, int fd, int flags);
/* Its name in /proc/self/fd, relative to server->proc. */
const char *descriptor_name(char text[DESCRIPTOR_NAME], int fd);

/* What stands under a name, if it may be shown. Returns 0 or a negative errno. */
int look_name(struct grant *g, int directory, const char *name, struct statx *st);
/* May a file system be shown on which `fd` is? 0 or a negative errno. */
int device_check(struct grant *g, uint64_t dev, int fd);
/* Its number here; lock held. */
unsigned device_index(const struct grant *g, uint64_t dev);

/* Closes directories that were not opened in the last second; all of them when `all`. */
void kept_expire(struct grant *g, bool all);

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A role of an environment that a server answers: which one, and with what. Served now: `sockets`, the connections
 * that lead out of the environment's own network.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct served {
        char **allow; /* rules of the server in the box (servers/sockets-policy): HOST[:PORT] */
        size_t allow_count, allow_capacity;
        char **server;  /* instead of that: a program and its words; ends with NULL. NULL: none */
        char *resolver; /* who is asked for names outside, ADDRESS[:PORT]; NULL: as the main system does */
};

bool served_is(const struct served *s);
/* A rule, or the program; everything is copied. EINVAL, E2BIG with `err` set: both are given, too many, no such
 * form. */
int served_allow(struct served *s, const char *rule, struct error *err);
int served_by(struct served *s, const char *const *argv, size_t argc, struct error *err);
int served_resolver(struct served *s, const char *address, struct error *err);
void served_copy(struct served *to, const struct served *from);
void served_clear(struct served *s);

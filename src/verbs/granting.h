// SPDX-License-Identifier: GPL-3.0-or-later
/* What the verbs on grants have in common: the environment, its warden, and how a right is given. */
#pragma once

#include "base/text.h"
#include "description/description.h"
#include "model/store.h"
#include "warden/client.h"

struct granting {
        const char *name;
        struct store store;
        int directory;       /* of the environment */
        struct client client; /* closed: it is not started */
        struct environment environment;
        bool own;            /* what lies in the state directory may be given: it was made for that */
};

#define GRANTING_SOCKETS "sockets" /* directory of the environment: names of sockets while they are granted */

/* identities.c: the group inside that stands for the identity `name`: of a user of that name, else the group itself. */
int granting_identity(struct granting *g, const char *name, unsigned *gid, struct error *err);

#define GRANTING_INIT ((struct granting){.store = STORE_CLOSED, .directory = -1, .client = CLIENT_CLOSED})
#define cleanup_granting __attribute__((cleanup(granting_close)))

/* Opens the environment, and connects to its warden if it has one. */
int granting_open(struct granting *g, const char *name, struct error *err);
void granting_close(struct granting *g);
/* 0 when there is a warden; else an error that says what to do. */
int granting_needs_warden(const struct granting *g, struct error *err);

/* Starts the server that the warden lacks. 1 or a negative errno. */
int granting_bring_server(struct granting *g, enum grant_kind kind, struct error *err);

/* Gives one right; `by` says by whose word. *id may be NULL. Names a link that was followed on standard error. */
int granting_give(struct granting *g, const struct grant *grant, const char *by, uint64_t *id, struct error *err);

/* An absolute name of what the user wrote: "~" is not meant here, shells know it; but descriptions write it. Fresh
 * memory. */
char *granting_path(const char *path);

/* The sets of the user, with problems of their file told on standard error. */
int granting_sets(struct grant_sets *sets, struct error *err);

/* The user's name, for BY. Fresh memory. */
char *granting_user(void);

/* A time of day for people: today's without a date. Fresh memory. */
char *granting_time(long long when);

/* "/home/u/x (tree, ro): revocable, until 18:30". Fresh memory. */
char *granting_line(const struct grant *grant);

/* Puts a placeholder there, which asks when it is used. */
int granting_ask(struct granting *g, const struct grant *grant, const char *by, struct error *err);
/* Answers question `number` with `verdict`; `grant` is what it is about. */
int granting_reply(struct granting *g, uint64_t number, enum verdict verdict, const struct grant *grant, const char *by,
                   struct error *err);

/* What the environment's description and the kept ones grant, given to its warden. All are tried; problems go to
 * standard error. 0, or -1 when one was not given. */
int granting_again(struct granting *g);

/* One that is held, or will be given at the next start (id 0). */
struct held {
        struct grant grant;
        uint64_t id, since, used;
        char *by;
        bool asks;
};

void held_clear(struct held *h);
/* From the warden's GRANTS or QUESTION. */
void held_read(struct held *h, const struct message *m);

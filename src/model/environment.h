// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * An environment: a saved or temporary description. This is what the command line and a YAML description both become,
 * what is stored, and what the plan is made from. It knows no operating system.
 */
#pragma once

#include "base/error.h"
#include "model/channel.h"
#include "model/grant.h"
#include "model/limits.h"
#include "model/publish.h"
#include "model/served.h"
#include "model/view.h"

#include <stdbool.h>
#include <stdint.h>

enum root_kind {
        ROOT_HOST,      /* the running system */
        ROOT_EMPTY,     /* nothing; rules bring what is there */
        ROOT_DIRECTORY, /* the tree below root_path, copy-on-write */
        ROOT_IMAGE,     /* the image called root_path (model/image.h), copy-on-write */
};

/* Who one is inside. Users of the environment's own are a later kind. */
enum identity_kind {
        IDENTITY_SELF, /* whoever runs it */
        IDENTITY_ROOT, /* root, with as many further ids as the main system gives its user */
};

enum network_kind {
        NETWORK_INHERIT, /* the main system's */
        NETWORK_NONE,    /* its own, with nothing but loopback */
        NETWORK_UPLINK,  /* its own, which reaches what the main system reaches, but not the main system's loopback */
};

/* What becomes of a program of `run:` that ended. */
enum restart_policy { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS };

/* Started in the background when the environment is started. */
struct run_program {
        char *name;  /* in the log; no two have the same */
        char **argv; /* ends with NULL; one at least */
        enum restart_policy restart;
};
#define RUN_LIMIT 64

struct environment {
        char *name;    /* NULL while temporary */
        enum root_kind root;
        char *root_path; /* ROOT_DIRECTORY: absolute or "~/..."; ROOT_IMAGE: its name */
        enum identity_kind identity;
        enum network_kind network;
        bool network_given; /* an option said it, and may be the default */
        struct publish_list publish; /* NETWORK_UPLINK */
        bool session;   /* the session's sockets (bus, agents, display) and abstract sockets are shared */
        char *hostname; /* NULL: as outside */
        struct served sockets; /* its connections are answered by a server: the network is its own then */
        struct limits limits;
        bool memory;    /* an unnamed environment keeps its layer in memory instead of on disk */
        struct view view;
        struct run_program *programs;
        size_t program_count, program_capacity;
        char **init;              /* makes it a subhurd: what is pid 1 in it; ends with NULL. NULL: it is none */
        struct grant_list grants; /* given when it starts */
        struct channel_plans channels; /* opened when it starts */
};

#define cleanup_environment __attribute__((cleanup(environment_clear)))

/* The word for an identity, as in options and descriptions, and the identity of a word, or -1. */
const char *identity_word(enum identity_kind identity);
int identity_from_word(const char *word);

/* The word for a network, as in options and descriptions, and the network of a word, or -1. */
const char *network_word(enum network_kind network);
int network_from_word(const char *word);
/* 0 when what is published can be reached through its network. EINVAL. */
int environment_network_check(const struct environment *e, struct error *err);

/* Makes it a subhurd; argv[0] is absolute. Everything is copied. EINVAL. */
int environment_set_init(struct environment *e, const char *const *argv, size_t argc, struct error *err);

/* The word for a policy ("no", "on-failure", "always"), and the policy of a word, or -1. */
const char *restart_word(enum restart_policy restart);
int restart_from_word(const char *word);

/* Adds a program; everything is copied. `name` may be NULL: it is that of the file which runs, with a number if there
 * is one of that name already. EEXIST, EINVAL, E2BIG with `err` set. */
int environment_add_program(struct environment *e, const char *name, const char *const *argv, size_t argc,
                            enum restart_policy restart, struct error *err);

/* Bytes as "512M", "2G", with K, M, G, T for powers of 1024, or as a number; not 0. -EINVAL: it is none. And back,
 * exactly. */
#define SIZE_WORD 24
int size_from_word(const char *word, uint64_t *size);
const char *size_to_word(uint64_t size, char word[SIZE_WORD]);

/* NAME is 1..64 characters of letters, digits, '.', '_', '-', and begins with a letter or digit. */
bool environment_name_valid(const char *name);

/* 0 when valid, else an error that says what a name may be. */
int environment_name_check(const char *name, struct error *err);

/* 0 when `name` can be a host name, else an error that says what one may be. */
int environment_hostname_check(const char *name, struct error *err);

void environment_copy(struct environment *to, const struct environment *from);
void environment_clear(struct environment *environment);

/* The stored form (model/record.c): a line per fact, "key<TAB>field..." with fields escaped by text_escape(),
 * first line "paddock-environment 1". Returned text is fresh memory. */
char *environment_to_record(const struct environment *environment);

/* Reads a record. `origin` names the file in messages. A newer version number gives EPROTO and says so. */
int environment_from_record(struct environment *environment, const char *record, const char *origin,
                            struct error *err);

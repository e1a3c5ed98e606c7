// SPDX-License-Identifier: GPL-3.0-or-later
/* The options that describe an environment on the command line, one for each key of a description. */
#pragma once

#include "model/environment.h"

#include <stdbool.h>

enum {
        OPTION_PRIVATE = 0x100, OPTION_MIRROR, OPTION_SHARE, OPTION_EMPTY, OPTION_HIDE, OPTION_FROM, OPTION_UNION,
        OPTION_NET, OPTION_SESSION, OPTION_HOSTNAME, OPTION_ROOT, OPTION_AS, OPTION_LIMIT, OPTION_GRANT,
        OPTION_PUBLISH, OPTION_ALLOW,
};

#define OPTION_IDENTITY {"as", OPTION_AS, "self|root", 0, "who one is inside (self)", 2}

#define OPTIONS_NETWORK(by_default)                                                                                    \
        {"net", OPTION_NET, "inherit|none|uplink", 0,                                                                  \
         "the main system's network, only loopback, or its own that reaches outside (" by_default ")", 2},            \
                {"publish", OPTION_PUBLISH, "[ADDRESS:]PORT[:INSIDE][/udp]", 0,                                          \
                 "with --net uplink: a port outside leads to one inside", 2}

/* argp's table, without its end: for the verbs that take them. */
#define OPTIONS_ENVIRONMENT                                                                                            \
        {"private", OPTION_PRIVATE, "PATH", 0, "copy-on-write: changes belong to the environment", 1},                 \
                {"mirror", OPTION_MIRROR, "PATH", 0, "see through, read-only", 1},                                     \
                {"share", OPTION_SHARE, "PATH", 0, "see through, writes go through", 1},                               \
                {"empty", OPTION_EMPTY, "PATH", 0, "nothing of the outside, a place of its own", 1},                   \
                {"hide", OPTION_HIDE, "PATH", 0, "the name is not there", 1},                                          \
                {"from", OPTION_FROM, "PATH=SRC", 0, "PATH is answered from SRC", 1},                                  \
                {"union", OPTION_UNION, "PATH=A:B", 0, "directories as one, the first that has a name wins", 1},       \
                {"grant", OPTION_GRANT, "PATH[:ro|:rw]", 0, "a revocable right on PATH outside (ro)", 1},              \
                {"root", OPTION_ROOT, "host|empty|IMAGE|DIR", 0, "what the rules lie on (host)", 2}, OPTION_IDENTITY,  \
                OPTIONS_NETWORK("inherit"),                                                                            \
                {"allow", OPTION_ALLOW, "HOST[:PORT]", 0, "only such connections lead out of a network of its own", 2}, \
                {"session", OPTION_SESSION, NULL, 0, "share the session's sockets: bus, agents, display", 2},          \
                {"hostname", OPTION_HOSTNAME, "NAME", 0, "host name inside", 2},                                       \
        {                                                                                                              \
                "limit", OPTION_LIMIT, "WHAT=VALUE", 0, "what it may use: see paddock(1)", 2                         \
        }

/* Applies one option to `e`. `cwd` is what relative names start from (NULL: there is none). Returns OPTION_UNKNOWN for
 * a key that is not one of them, 0, or a negative errno with err set. Sets *given when it changed anything. */
#define OPTION_UNKNOWN 2
int option_apply(struct environment *e, int key, const char *arg, const char *cwd, bool *given, struct error *err);

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Servers of roles: the protocol, and a library in which a server is a few functions.
 *
 * A role is a system function that something must answer. When an environment's description gives a role to a server,
 * the calls of that role are taken from the programs inside and put to it, one message a call, over the
 * SOCK_SEQPACKET socket on descriptor PADDOCK_SERVER_SOCKET. doc/protocol.md has the contract: what each call means,
 * what may block, what a server can do and cannot. All numbers are in the byte order of the machine, and never change
 * their meaning.
 */
#ifndef PADDOCK_SERVER_H
#define PADDOCK_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PADDOCK_SERVER_SOCKET 3
#define PADDOCK_SERVER_WORD 0x4b444450u /* "PDDK" */
#define PADDOCK_SERVER_VERSION 1

enum paddock_call {
        /* paddock -> server, the first message: `version` is the highest that paddock speaks, `hello` what it is
         * about. The server answers with the version that is to be spoken, at most that one, and with the flags
         * that it wants. */
        PADDOCK_HELLO = 1,
        /* paddock -> server: is it still there? Answered with nothing in it. */
        PADDOCK_PING = 2,
        /* server -> paddock, at any time, without an answer: answers that it allowed to be kept hold no longer. */
        PADDOCK_FORGET = 3,

        PADDOCK_CONNECT = 0x100, /* role sockets: a stream socket is to be connected beyond the environment */
        PADDOCK_RESOLVE = 0x101, /* role sockets: a name is looked up */
};
#define PADDOCK_ANSWER 0x80000000u /* or-ed to the call that is answered */

enum paddock_role { PADDOCK_SOCKETS = 1 };

/* What a server wants, in its answer to HELLO. */
enum paddock_wants {
        PADDOCK_WANTS_CALLER = 1, /* `caller` is filled in, which costs a call some time */
        PADDOCK_WANTS_NAMES = 2,  /* RESOLVE is asked; otherwise names are looked up as outside, for everybody */
};

/* What becomes of a call: `verdict` of an answer. */
enum paddock_verdict {
        PADDOCK_REFUSE = 1, /* the program gets `error` (a positive errno); RESOLVE: the name does not exist */
        PADDOCK_NATIVE = 2, /* paddock carries it out with its user's rights: CONNECT to `connect.address` of the answer,
                             * or to where the program wanted when its address_size is 0 */
        PADDOCK_GIVE = 3,   /* the program gets the one descriptor that comes with the answer: a connected stream socket */
};
#define PADDOCK_KEEP 1u /* flag of an answer: the same call may be answered so again without asking, until FORGET */

struct paddock_caller {
        uint32_t pid;      /* as outside sees it; 0: not asked for */
        uint32_t uid, gid; /* inside */
};

struct paddock_address {
        uint32_t size;      /* of a struct sockaddr_in or sockaddr_in6 in `bytes`; 0: none */
        uint8_t bytes[124];
};

struct paddock_message {
        uint32_t word; /* PADDOCK_SERVER_WORD */
        uint32_t call; /* enum paddock_call, answers with PADDOCK_ANSWER */
        uint64_t serial; /* of the call; the answer has the same */
        uint32_t version, flags;
        uint32_t verdict;
        int32_t error;
        struct paddock_caller caller;
        uint32_t reserved; /* 0 */
        union {
                struct {
                        uint32_t role;             /* enum paddock_role */
                        uint32_t wants;            /* in the answer */
                        uint32_t limit;            /* milliseconds in which a call must be answered */
                        char environment[256];     /* its name, or "" */
                } hello;
                struct {
                        struct paddock_address address;
                        char name[256]; /* by which the address was looked up last in this environment, or "" */
                } connect;
                struct {
                        uint32_t type;  /* of DNS: 1 A, 28 AAAA, ... */
                        char name[256]; /* lower case, without the last dot; what no name of a host can hold is escaped as in DNS */
                } resolve;
        };
};
/* Every message is sent as the whole struct, at most one descriptor with it. */

/* --- the library --- */

struct paddock_server;

/* What a call asks for, and what becomes of it. The functions return 0 for `verdict` as they set it (it comes as
 * PADDOCK_NATIVE), or a negative errno to refuse. A descriptor in `give` is taken. */
struct paddock_reply {
        uint32_t verdict, flags;
        int give;                       /* comes as -1 */
        struct paddock_address address; /* CONNECT, NATIVE: where to instead */
};

struct paddock_sockets {
        uint32_t wants;
        int (*connect)(struct paddock_server *server, const struct paddock_message *call, struct paddock_reply *reply);
        int (*resolve)(struct paddock_server *server, const struct paddock_message *call, struct paddock_reply *reply); /* may be NULL */
        /* Beside the calls: when `also` is not negative, `ready` is called whenever it can be read. May be NULL. */
        int also;
        void (*ready)(struct paddock_server *server);
        void *context;
};

/* Answers calls until paddock closes the socket. Returns 0 at the end, or a negative errno: descriptor 3 is no such
 * socket, or paddock speaks no version that this library knows. */
int paddock_serve_sockets(const struct paddock_sockets *sockets);

void *paddock_server_context(struct paddock_server *server);
const char *paddock_server_environment(const struct paddock_server *server);
/* Answers that were allowed to be kept hold no longer. */
int paddock_server_forget(struct paddock_server *server);

/* A call that cannot be answered at once: returned by `connect` or `resolve` instead of 0, and then answered with
 * paddock_server_answer() from any thread, in any order. */
#define PADDOCK_LATER 1
int paddock_server_answer(struct paddock_server *server, uint64_t serial, uint32_t call, const struct paddock_reply *reply, int error);

#ifdef __cplusplus
}
#endif
#endif

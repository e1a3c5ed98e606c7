// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What paddock-channel is told: over the SOCK_SEQPACKET socket on descriptor CHANNEL_CONTROL one struct channel_message
 * a packet, in the byte order of the machine. Numbers never change their meaning. The end of the socket is the end of
 * the server, and of every connection.
 *
 * What a channel is stands in a sealed memory file, written by the `paddock channel` that the user called: one struct
 * channel_spec and, for EXEC, the commands. The warden passes it on unread.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define CHANNEL_CONTROL 3
#define CHANNEL_VERSION 1

enum channel_type {
        /* warden -> server; each is answered with one CHANNEL_DONE, in order */
        CHANNEL_ADD = 1, /* `parts` say which descriptors come along, in their order: always the spec first */
        CHANNEL_REVOKE = 2, /* every connection ends before the answer, and nobody connects any more */
        /* server -> warden */
        CHANNEL_DONE = 16,   /* status: 0 or a negative errno; after CHANNEL_REVOKE, lost: bytes that reached nobody */
        CHANNEL_USED = 17,   /* it was used for the first time */
        CHANNEL_FAILED = 18, /* status: why the listening program was not reached; told when it is not what was told last */
};

enum channel_part {
        CHANNEL_OUTER = 1,   /* a listening socket outside; for DATAGRAMS, a bound one */
        CHANNEL_INNER = 2,   /* the listening socket that is named inside */
        CHANNEL_NETWORK = 4, /* the network namespace of the environment's programs */
        CHANNEL_ROOT = 8,    /* their root directory, opened with O_PATH */
};
#define CHANNEL_DESCRIPTORS 5

struct channel_message {
        uint32_t version; /* CHANNEL_VERSION */
        uint32_t type;
        uint64_t id; /* of the grant; chosen by the warden, 0 is none */
        uint32_t parts;
        int32_t status;
        uint64_t lost;
};

enum channel_kind {
        CHANNEL_STREAM = 1,
        CHANNEL_MESSAGES = 2,
        CHANNEL_EXEC = 3,
        CHANNEL_DATAGRAMS = 4 /* UDP */
};

/* What is done on a side, the outer or the inner, when a connection is wanted. */
enum channel_does {
        CHANNEL_ACCEPT = 1, /* on the listening socket that came along */
        CHANNEL_LISTEN = 2, /* on one that the server makes there, at `port` (inner side) */
        CHANNEL_CONNECT = 3 /* to the program that listens there, at `port` or, when that is 0, `path` */
};
struct channel_side {
        uint32_t does;
        uint32_t family; /* AF_INET, AF_INET6: of `address`; AF_UNIX: `path` */
        uint32_t port;
        uint8_t address[16];
        char path[4096];
};

/* The socket address of a side that is an address and a port. Returns its size. */
union channel_address {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
};
static inline socklen_t channel_address(const struct channel_side *side, union channel_address *a)
{
        *a = (union channel_address){0};
        if (side->family == AF_INET) {
                a->four.sin_family = AF_INET;
                a->four.sin_port = htons((uint16_t)side->port);
                memcpy(&a->four.sin_addr, side->address, 4);
                return sizeof a->four;
        }
        a->six.sin6_family = AF_INET6;
        a->six.sin6_port = htons((uint16_t)side->port);
        memcpy(&a->six.sin6_addr, side->address, 16);
        return sizeof a->six;
}

enum { CHANNEL_OUTSIDE, CHANNEL_INSIDE };
struct channel_spec {
        uint32_t version, kind;
        struct channel_side side[2];
        char partner[4096]; /* name of the outer listening socket, removed at the end; or "" */
        uint32_t text;      /* so many bytes follow: for each command its name and its arguments, each ended by a NUL,
                             * and one more NUL */
};
#define CHANNEL_TEXT (64 * 1024)

// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What paddock-socket-relay and its warden tell each other, over the SOCK_SEQPACKET socket on descriptor RELAY_CONTROL:
 * one struct relay_message a packet, in the byte order of the machine. Numbers never change their meaning; a message of
 * another version is answered with -EPROTO, one of another size or type with -EBADMSG, and its descriptors are closed.
 * The end of the socket is the end of the server, and of every connection.
 */
#pragma once

#include <stdint.h>

#define RELAY_CONTROL 3
#define RELAY_VERSION 1

enum relay_type {
        /* warden -> relay; each is answered with one RELAY_DONE, in order */
        RELAY_ADD = 1, /* two descriptors: the socket that is named inside (STREAM, SEQPACKET: it listens; DGRAM: it is
                        * bound), and the outer socket's file, opened with O_PATH. `flags` are RELAY_ONCE or 0 */
        RELAY_REVOKE = 2, /* every connection ends before the answer, and nobody connects any more */
        /* relay -> warden */
        RELAY_DONE = 16, /* status: 0 or a negative errno; after RELAY_REVOKE, lost: bytes that were under way and
                            reached nobody */
        RELAY_USED = 17, /* the grant was used for the first time */
        RELAY_FAILED =
                18, /* status: why a connection to the outer socket failed; told when it is not what was told last */
        RELAY_SPENT = 19, /* RELAY_ONCE: its one connection has ended, and the grant is gone */
};

#define RELAY_ONCE 1u /* one connection, then the grant ends by itself */

struct relay_message {
        uint32_t version; /* RELAY_VERSION */
        uint32_t type;
        uint64_t id;      /* of the grant; chosen by the warden, 0 is none */
        uint32_t flags;
        int32_t status;
        uint64_t lost;
};

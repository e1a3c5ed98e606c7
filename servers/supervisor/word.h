// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the launcher and init send the supervisor over its SOCK_SEQPACKET socket: a byte, with one descriptor.
 * Everything has been said when nobody has the other end any more; it goes on until no process is left whose calls
 * the listener gets.
 */
#pragma once

enum supervisor_word {
        SUPERVISOR_LISTENER = 'l', /* of the filter; a second byte: 1 when Landlock keeps the programs from connecting TCP
                                    * sockets themselves */
        SUPERVISOR_RESOLVER = 'r', /* a bound socket of the inner network: UDP, or TCP that listens */
        SUPERVISOR_ADMIN = 'a',    /* a listening SOCK_SEQPACKET socket: admin.h */
};

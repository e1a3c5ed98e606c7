#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
#
# services.py world|host READY HITS - services for tests of networks, until it is killed. "world" answers on its
# addresses: TCP port 8000 with "world", UDP port 8000 with what came. "host" stands on the loopback
# addresses of the machine: TCP and UDP port 8081, the abstract socket "paddock-uplink"; whoever reaches one of them is
# written to the file HITS. There is a resolver, too: UDP port 53. The file READY is made when all of them listen.
import selectors
import socket
import sys

kind, ready, hits = sys.argv[1:4]
chooser = selectors.DefaultSelector()


def serve(family, address, mode, answer):
    s = socket.socket(family, mode)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if family != socket.AF_UNIX:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(address)
    if mode == socket.SOCK_STREAM:
        s.listen(64)
    chooser.register(s, selectors.EVENT_READ, (mode, answer, address))


def hit(address):
    if kind == "host":
        with open(hits, "a") as log:
            log.write("%r\n" % (address,))


if kind == "world":
    for family, every in ((socket.AF_INET, "198.51.100.7"), (socket.AF_INET6, "2001:db8:1::7")):
        serve(family, (every, 8000), socket.SOCK_STREAM, b"world")
        serve(family, (every, 8000), socket.SOCK_DGRAM, None)
else:
    for family, own in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        serve(family, (own, 8081), socket.SOCK_STREAM, b"HOST")
        serve(family, (own, 8081), socket.SOCK_DGRAM, b"HOST")
        serve(family, (own, 53), socket.SOCK_DGRAM, b"resolved")
    serve(socket.AF_UNIX, "\0paddock-uplink", socket.SOCK_STREAM, b"HOST")
open(ready, "w").close()
while True:
    for key, _ in chooser.select():
        mode, answer, address = key.data
        if mode == socket.SOCK_STREAM:
            connection, _ = key.fileobj.accept()
            hit(address)
            connection.settimeout(0.5)
            try:
                connection.recv(100)  # what is not read makes the end of the connection a reset
                connection.sendall(answer)
            except OSError:
                pass
            connection.close()
        else:
            data, whence = key.fileobj.recvfrom(2000)
            if answer != b"resolved":
                hit(address)
            key.fileobj.sendto(answer or data, whence)

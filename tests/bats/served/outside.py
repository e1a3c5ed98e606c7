#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outer network of a test, on one address: greets on TCP ports, and answers for names on port 5353, UDP and TCP.

Usage: outside.py ADDRESS READY PORT...     A connection to PORT gets "PORT\\n" and is then echoed.
Names: *.example has ADDRESS; long.example only over TCP; other.example has 10.9.8.8; anything else does not exist.
"""
import socket
import struct
import sys
import threading

ADDRESS, READY = sys.argv[1:3]


def greet(connection, port):
    with connection:
        try:
            connection.sendall(b"%d\n" % port)
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            pass


def serve(listener, port):
    while True:
        connection = listener.accept()[0]
        threading.Thread(target=greet, args=(connection, port), daemon=True).start()


def reply(query, stream):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    end, kind = at + 5, struct.unpack_from("!H", query, at + 1)[0]
    name = ".".join(labels).lower()
    known = name.endswith("example")
    host = "10.9.8.8" if name == "other.example" else ADDRESS
    data = socket.inet_aton(host) if known and kind == 1 else b""
    short = name == "long.example" and not stream
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + data if data and not short else b""
    flags = 0x8580 | (0x200 if short else 0) | (0 if known else 3)
    return query[:2] + struct.pack("!HHHHH", flags, 1, bool(record), 0, 0) + query[12:end] + record


def names():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((ADDRESS, 5353))
    while True:
        query, peer = udp.recvfrom(4096)
        udp.sendto(reply(query, False), peer)


def names_by_stream(listener):
    while True:
        connection = listener.accept()[0]
        with connection:
            while len(size := connection.recv(2)) == 2:
                answer = reply(connection.recv(struct.unpack("!H", size)[0]), True)
                connection.sendall(struct.pack("!H", len(answer)) + answer)


def listening(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ADDRESS, port))
    listener.listen(4096)
    return listener


for port in map(int, sys.argv[3:]):
    threading.Thread(target=serve, args=(listening(port), port), daemon=True).start()
threading.Thread(target=names_by_stream, args=(listening(5353),), daemon=True).start()
open(READY, "w").close()
names()

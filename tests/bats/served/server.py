#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of sockets that uses the protocol (doc/protocol.md) and nothing of libpaddock-server.

Usage: server.py [RULE...]      RULE: PORT=VERDICT or NAME=VERDICT; VERDICT: native, ERRNO, silent, end, to:PORT, give
What has no rule is native. $SAID names a file in which each call is written down.
"""
import array
import os
import socket
import struct
import sys
import time

HEAD = struct.Struct("=IIQIIIi3II")  # word call serial version flags verdict error caller reserved
SIZE = HEAD.size + 4 + 124 + 256 + (-(4 + 124 + 256) % 8)
HELLO, PING, CONNECT, RESOLVE, ANSWER = 1, 2, 0x100, 0x101, 0x80000000
REFUSE, NATIVE, GIVE = 1, 2, 3
rules = dict(rule.split("=", 1) for rule in sys.argv[1:])
said = open(os.environ["SAID"], "a", buffering=1) if "SAID" in os.environ else open("/dev/null", "w")
paddock = socket.socket(fileno=3)
kept = []


def text(data):
    return data.split(b"\0", 1)[0].decode()


def answer(call, serial, verdict=NATIVE, error=0, body=b"", give=None):
    message = HEAD.pack(0x4B444450, call | ANSWER, serial, 1, 0, verdict, error, 0, 0, 0, 0) + body
    message += bytes(size - len(message))
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [give.fileno()]))] if give else []
    paddock.sendmsg([message], rights)


while True:
    message = paddock.recv(65536)
    if not message:
        break
    size = len(message)
    word, call, serial, version, flags, verdict, error, pid, uid, gid, _ = HEAD.unpack_from(message)
    body = message[HEAD.size:]
    if call == HELLO:
        print("hello", version, text(body[12:268]), file=said)
        answer(call, serial, body=struct.pack("=II", 1, int(os.environ.get("WANTS", "3"))))
        continue
    if call == PING:
        answer(call, serial)
        continue
    if call == CONNECT:
        family, = struct.unpack_from("=H", body, 4)
        port, = struct.unpack_from("!H", body, 6)
        host = socket.inet_ntop(family, body[8:12] if family == socket.AF_INET else body[12:28])
        name = text(body[128:384])
        print("connect", host, port, name or "-", "caller", uid, gid, file=said)
        rule = rules.get(str(port), "native")
    else:
        name = text(body[4:260])
        print("resolve", name, file=said)
        rule = rules.get(name, "native")
    if rule == "silent":
        continue
    if rule == "end":
        sys.exit(3)
    if rule == "native":
        answer(call, serial)
    elif rule == "give":
        ours, theirs = socket.socketpair()
        ours.sendall(b"given\n")
        kept.append(ours)
        answer(call, serial, GIVE, give=theirs)
        theirs.close()
    elif rule == "rubbish":
        for length in (0, 1, 40, 4000):
            paddock.send(bytes(length))
        answer(call, serial + 1)
        answer(call ^ 1, serial)
        answer(call, serial, 77, 0)
        answer(call, serial, GIVE)
    elif rule.startswith("to:"):
        other = struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(rule[3:])) + body[8:12] + bytes(8)
        answer(call, serial, body=struct.pack("=I", 16) + other)
    else:
        answer(call, serial, REFUSE, int(rule))

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# control.bats - the control socket, as doc/control.md describes it, and clients that do not keep to it.

load common

# client - Python on standard input, with what it needs to speak with the warden of "web".
client()
{
        "$PADDOCK" create web 2>/dev/null || true
        "$PADDOCK" start web 2>/dev/null
        { cat <<'END'; cat; } >client.py
import array, os, random, socket, struct, sys, time
MAGIC = 0x6b647001
HELLO, STATUS, STOP, ENTER, GRANT, GRANTS, LISTEN, FREEZE, THAW, LOG, WAIT, ERROR = 1, 2, 3, 4, 5, 7, 9, 11, 12, 13, 14, 127
path = os.environ["XDG_STATE_HOME"] + "/paddock/env/web/control"
def field(tag, value):
    data = struct.pack("=Q", value) if isinstance(value, int) else value
    return struct.pack("=HH", tag, len(data)) + data
def message(type, fields=b"", serial=1, magic=MAGIC, length=None, flags=0):
    return struct.pack("=IHHII", magic, type, flags, serial, len(fields) if length is None else length) + fields
def parse(data):
    magic, type, flags, serial, length = struct.unpack("=IHHII", data[:16])
    assert magic == MAGIC and length == len(data) - 16, data
    fields, at = {}, 16
    while at < len(data):
        tag, size = struct.unpack("=HH", data[at:at + 4])
        value = data[at + 4:at + 4 + size]
        fields.setdefault(tag, struct.unpack("=Q", value)[0] if size == 8 and tag not in (2, 4, 5, 12) else value)
        at += 4 + size
    return type, flags, serial, fields
def connect(hello=True):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(20)
    s.connect(path)
    if hello:
        proof = os.open("/proc/self/ns/user", os.O_RDONLY)
        send(s, message(HELLO, field(1, 1)), [proof])
        os.close(proof)
        answer = receive(s)
        assert answer and answer[0] == HELLO and answer[3][2] == b"web", answer
    return s
def send(s, data, fds=()):
    s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
def receive(s):
    try:
        data = s.recv(65536)
    except ConnectionResetError:
        return None
    return parse(data) if data else None
def call(s, type, fields=b"", fds=(), serial=7):
    send(s, message(type, fields, serial), fds)
    answer = receive(s)
    assert answer is None or answer[2] == serial, answer
    return answer
def alive():
    s = connect()
    answer = call(s, STATUS)
    assert answer[0] == STATUS, answer
    s.close()
END
        timeout 120 python3 client.py 3>&- 4>&- || return 1
        run "$PADDOCK" enter web echo alive
        expect_output alive
}

@test "control: HELLO and STATUS tell what the document says" {
        client <<'END'
s = connect()
type, flags, serial, fields = call(s, STATUS)
assert type == STATUS and flags == 1 and fields[2] == b"web" and fields[9] == 1 and fields[45] == 0, fields
assert abs(fields[10] - time.time()) < 60
assert b"paddock" in open("/proc/%d/comm" % fields[7], "rb").read()
assert b"paddock-init" in open("/proc/%d/comm" % fields[8], "rb").read()
END
}

@test "control: the first message is HELLO, with the right descriptor" {
        client <<'END'
s = connect(hello=False)
s.send(message(STATUS))
assert receive(s) is None
for wrong in ("/proc/self/ns/net", "/dev/null", "/", None):
    s = connect(hello=False)
    fds = [os.open(wrong, os.O_RDONLY)] if wrong else []
    send(s, message(HELLO, field(1, 1)), fds)
    answer = receive(s)
    assert answer[0] == ERROR and answer[3][3] == 1, answer
    assert receive(s) is None
# Whoever says nothing is let go.
s = connect(hello=False)
begun = time.time()
assert receive(s) is None and 3 < time.time() - begun < 15
alive()
END
}

@test "control: what is malformed ends the connection, and nothing else" {
        client <<'END'
random.seed(5)
for data in (b"x", b"\0" * 16, message(STATUS, length=7), message(STATUS, field(1, 1)[:-1]), message(STATUS, b"\x01\x00\xff\xff"),
             message(STATUS, magic=0x12345601), message(STATUS, flags=1), b"\xff" * 60000):
    s = connect()
    s.send(data)
    assert receive(s) is None, data[:40]
s = connect()
s.send(message(STATUS, magic=MAGIC + 1))
answer = receive(s)
assert answer[0] == ERROR and b"version" in answer[3][4], answer
for _ in range(500):
    s = connect()
    try:
        for _ in range(20):
            good = bytearray(message(random.choice([1, 2, 4, 5, 6, 7, 8, 9, 10, 13, 15, 16, 64, 99, 60000]),
                                     b"".join(field(random.randrange(60), random.choice([random.getrandbits(64), os.urandom(random.randrange(40))]))
                                              for _ in range(random.randrange(8)))))
            for _ in range(random.randrange(3)):
                at = random.randrange(len(good))
                good[at] ^= 1 << random.randrange(8) if at != 4 else 0   # STATUS would become STOP
            s.send(bytes(good))
    except (BrokenPipeError, ConnectionResetError):
        pass
    s.close()
alive()
END
}

@test "control: types that it does not know, and requests that do not fit together, are answered" {
        client <<'END'
s = connect()
answer = call(s, 1234)
assert answer[0] == ERROR and answer[3][3] == 95, answer   # EOPNOTSUPP
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
for fields, fds in ((b"", []), (field(17, 7) + field(18, 0), [a.fileno()]), (field(17, 0) + field(18, 9), [a.fileno(), b.fileno()]),
                    (field(17, 1 << 40) + field(18, 0), [a.fileno(), b.fileno()])):
    answer = call(s, ENTER, fields, fds)
    assert answer[0] == ERROR and answer[3][3] == 22, answer
# A payload that is none: the session is told.
null = os.open("/dev/null", os.O_RDWR)
answer = call(s, ENTER, field(17, 0) + field(18, 0), [a.fileno(), null])
assert answer[0] == ENTER, answer
b.settimeout(10)
assert b"form" in b.recv(4096)
answer = call(s, LOG, field(20, 5))
assert answer[0] == ERROR
END
}

@test "control: descriptors that are not wanted are closed" {
        client <<'END'
s = connect()
warden = call(s, STATUS)[3][7]
count = lambda: len(os.listdir("/proc/%d/fd" % warden))
before = count()
null = os.open("/dev/null", os.O_RDWR)
for _ in range(200):
    assert call(s, STATUS, fds=[null] * 8)[0] == STATUS
def settles():
    deadline = time.time() + 10
    while count() != before and time.time() < deadline:
        time.sleep(0.05)
    assert count() == before, (before, count())
settles()
# More than it takes with one message.
t = connect()
send(t, message(STATUS), [null] * 100)
assert receive(t) is None
t.close()
settles()
END
}

@test "control: a storm of requests is answered, slower and slower, and keeps nobody else waiting" {
        client <<'END'
s = connect()
begun = time.time()
for i in range(256):
    assert call(s, STATUS)[0] == STATUS
burst = time.time() - begun
for i in range(16):
    call(s, STATUS)
assert time.time() - begun > burst + 0.3
assert burst < 5
# Another is served at once.
begun = time.time()
alive()
assert time.time() - begun < 1
END
}

@test "control: a client that reads no answers is let go" {
        client <<'END'
s = connect()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.setblocking(False)
sent = 0
end = time.time() + 5
while time.time() < end and sent < 2000:
    try:
        s.send(message(STATUS))
        sent += 1
    except BlockingIOError:
        time.sleep(0.01)
    except (BrokenPipeError, ConnectionResetError):
        break
alive()
END
}

@test "control: more connections than it takes" {
        client <<'END'
many = []
for _ in range(64):
    many.append(connect())
more = []
for _ in range(20):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(0.5)
    s.setblocking(False)
    try:
        s.connect(path)
    except BlockingIOError:
        pass
    more.append(s)
for s in many + more:
    s.close()
deadline = time.time() + 10
while True:
    try:
        alive()
        break
    except (AssertionError, ConnectionError, OSError):
        assert time.time() < deadline
        time.sleep(0.1)
END
}

@test "control: who listens is told of what starts and ends, and that it stops" {
        client <<'END'
s = connect()
assert call(s, LISTEN)[0] == LISTEN
assert os.system('"$PADDOCK" enter web true') == 0
kinds = [receive(s)[3][48] for _ in range(2)]
assert kinds == [5, 6], kinds
END
}

@test "control: what is frozen stands still until it is thawed, and can be stopped" {
        client <<'END'
s = connect()
os.system('"$PADDOCK" enter web sh -c "while :; do date +%N >next; mv next tick; sleep 0.02; done" >/dev/null 2>&1 &')
def ticks():
    one = os.popen('"$PADDOCK" enter web cat tick').read() if not frozen else None
    return one
frozen = False
time.sleep(0.5)
a = ticks(); time.sleep(0.3); b = ticks()
assert a != b
assert call(s, FREEZE)[0] == FREEZE
a = ticks(); time.sleep(0.3); b = ticks()
assert a == b and a, (a, b)
assert call(s, THAW)[0] == THAW
time.sleep(0.3)
assert ticks() != b
END
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends of channels, for the tests: channel.py WHAT ARGUMENT...

  talk PATH TEXT [KIND]     connects, sends TEXT, ends its side, prints all that comes back
  answer PATH [KIND]        listens there; each connection gets back what it sent, in capitals, when it has ended its side
  hold PATH                 connects, prints "held", reads nothing, and tells that the connection has ended
  fill PATH                 connects and writes until nothing more is taken; prints how much; waits for the end
  many PORT N               talks N times at once
  ask PORT TEXT             sends one datagram (UDP) and prints the answer; `asks PORT N` N at once from N sockets
  echo PORT                 answers each datagram with it in capitals, once for each line in it
PATH of talk and answer can be a PORT of 127.0.0.1, or of another address: 8080, [::1]:8080
"""
import select, socket, sys, threading, time


def make(kind='stream'):
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if kind == 'messages' else socket.SOCK_STREAM)


def is_port(path):
    return path.isdigit() or path.startswith('[')


def address(path):
    host, _, port = path.rpartition(':')
    return (host.strip('[]') or '127.0.0.1', int(port))


def make_port(path, kind):
    return socket.socket(socket.AF_INET6 if path.startswith('[') else socket.AF_INET, kind)


def connect(path, kind='stream'):
    if is_port(path):
        return socket.create_connection(address(path), timeout=20)
    s = make(kind)
    s.settimeout(20)
    s.connect(path)
    return s


def read_all(s):
    parts = []
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            break
        if not part:
            return b''.join(parts)
        parts.append(part)
    return b''.join(parts)


def talk(path, text, kind='stream'):
    s = connect(path, kind)
    s.sendall(text.encode())
    s.shutdown(socket.SHUT_WR)
    return read_all(s).decode()


def answer(path, kind='stream'):
    if is_port(path):
        s = make_port(path, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(address(path))
    else:
        s = make(kind)
        s.bind(path)
    s.listen(256)
    s.settimeout(60)

    def one(c):
        c.sendall(read_all(c).upper())
        c.close()
    while True:
        threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()


def hold(path):
    s = connect(path)
    print('held', flush=True)
    p = select.poll()
    p.register(s, select.POLLHUP | select.POLLRDHUP)
    print('ended' if p.poll(60000) else 'still there')


def fill(path):
    s = connect(path)
    s.setblocking(False)
    total, last = 0, time.time()
    while time.time() - last < 1:
        try:
            total += s.send(b'x' * 65536)
            last = time.time()
        except BlockingIOError:
            time.sleep(0.05)
    print(total, flush=True)
    p = select.poll()
    p.register(s, select.POLLHUP)
    p.poll(60000)


def many(port, count):
    bad = []

    def one(i):
        text = ('line %d ' % i) * 2000
        if talk(port, text) != text.upper():
            bad.append(i)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(int(count))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print('bad: %s' % bad if bad else 'all good')


def ask(path, text):
    s = make_port(path, socket.SOCK_DGRAM)
    s.connect(address(path))
    s.settimeout(0.7)
    for _ in range(5):
        try:
            s.send(text.encode())
            return s.recv(65536).decode()
        except (socket.timeout, ConnectionRefusedError):
            time.sleep(0.1)
    return 'no answer'


def asks(path, count):
    bad = []

    def one(i):
        text = 'number %d ' % i * 100
        if ask(path, text) != text.upper():
            bad.append(i)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(int(count))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print('bad: %s' % bad if bad else 'all good')


def echo(path):
    s = make_port(path, socket.SOCK_DGRAM)
    s.bind(address(path))
    while True:
        text, peer = s.recvfrom(65536)
        for line in text.split(b'\n'):
            s.sendto(line.upper(), peer)


what, rest = sys.argv[1], sys.argv[2:]
if what in ('talk', 'ask'):
    print({'talk': talk, 'ask': ask}[what](*rest), end='')
else:
    {'answer': answer, 'hold': hold, 'fill': fill, 'many': many, 'asks': asks, 'echo': echo}[what](*rest)

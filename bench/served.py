# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of `make bench` about the role `sockets`: connections that paddock-sockets-policy lets through, against the same ones made natively.

Everything happens on the loopback of a network namespace of its own, where 10.9.8.7 is "outside".
"""

import os
import subprocess


CONNECTS, MIB = 1000, 512

LISTENER = """
import socket, threading
def serve(c):
    try:
        size = int(c.recv(16) or b"0")
        block = bytes(1 << 18)
        while size > 0:
            size -= c.send(block[:min(size, len(block))])
    except (OSError, ValueError):
        pass
    c.close()
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("10.9.8.7", 8000))
l.listen(4096)
print("ready", flush=True)
while True:
    c = l.accept()[0]
    threading.Thread(target=serve, args=(c,), daemon=True).start()
"""

CLIENT = """
import socket, sys, time
what, amount = sys.argv[1], int(sys.argv[2])
begin = time.perf_counter_ns()
if what == "connect":
    for _ in range(amount):
        s = socket.socket()
        s.connect(("10.9.8.7", 8000))
        s.close()
elif what == "unix":
    s = socket.socket(socket.AF_UNIX)
    l = socket.socket(socket.AF_UNIX)
    l.bind(f"\\0bench{begin}")
    l.listen(4096)
    for _ in range(amount):
        s = socket.socket(socket.AF_UNIX)
        s.connect(f"\\0bench{begin}")
        s.close()
        l.accept()[0].close()
else:
    s = socket.socket()
    s.connect(("10.9.8.7", 8000))
    s.send(b"%016d" % (amount << 20))
    got = memoryview(bytearray(1 << 18))
    left = amount << 20
    begin = time.perf_counter_ns()
    while left > 0:
        left -= s.recv_into(got)
print(time.perf_counter_ns() - begin)
"""

SCRIPT = """
ip link set lo up && ip addr add 10.9.8.7/32 dev lo || exit 1
python3 -c "$LISTENER" >ready & listener=$!
until [ -s ready ]; do sleep 0.02; done
"$PADDOCK" create -f served.yaml && "$PADDOCK" start served
for turn in $(seq "$TURNS"); do
        for what in $WHAT; do
                echo "native $what $(python3 -c "$CLIENT" ${what%:*} ${what#*:})"
                echo "served $what $("$PADDOCK" enter served -- python3 -c "$CLIENT" ${what%:*} ${what#*:})"
        done
done
"$PADDOCK" stop served >/dev/null
"$PADDOCK" rm served
kill $listener
"""


def measure(bench):
    bench.section("Connections that a server lets through (`--allow`), against the same ones made natively, on loopback")
    place = f"{bench.place}/tmp/served"
    os.makedirs(place)
    with open(f"{place}/served.yaml", "w", encoding="ascii") as file:
        file.write('name: served\nsockets: {allow: ["10.9.8.7"]}\n')
    variables = dict(os.environ, PADDOCK=f"{bench.place}/bin/paddock", LISTENER=LISTENER, CLIENT=CLIENT, TURNS="1" if bench.quick else "5",
                     WHAT=f"connect:{CONNECTS} data:{MIB} unix:{CONNECTS}", XDG_STATE_HOME=f"{bench.place}/state")
    try:
        done = subprocess.run(["unshare", "-Urn", "--keep-caps", "sh", "-c", SCRIPT], cwd=place, env=variables, capture_output=True,
                              text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        bench.add("served", "connections that a server lets through", "", [], missing="it took more than 300 s")
        return
    runs = {}
    for line in done.stdout.splitlines():
        way, what, ns = line.split()
        runs.setdefault((way, what.split(":")[0]), []).append(int(ns) / 1e6)
    rows = (("connect", f"{CONNECTS:,} connects, one after the other", {"floor": 3.0}),
            ("data", f"{MIB} MiB over one connection", {"floor": 0.95, "speed": True}),
            ("unix", f"{CONNECTS:,} connects of UNIX sockets inside", {}))
    for what, text, bounds in rows:
        if ("served", what) not in runs:
            bench.add(f"served-{what}", text, "", [], missing=(done.stderr.strip().splitlines() or ["nothing was measured"])[-1])
            continue
        bench.add(f"served-{what}", text, "served", runs["served", what], "native", runs["native", what], **bounds)

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# uplink.bats - from inside an environment with an uplink (--net uplink) no service on the main system's loopback addresses can
# be reached, over TCP or UDP, IPv4 or IPv6, by whatever way a socket is made to leave; and no abstract socket.

load common
load ../bats/uplink

BED_TOOLS=../bats

attacker()
{
        cat >"$HOME/attack.py" <<'EOF'
import concurrent.futures, ctypes, os, socket, struct, sys
name = next(n for _, n in socket.if_nameindex() if n != "lo")
index = socket.if_nametoindex(name)
PORT = 8081
four = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "192.0.2.1", "169.254.1.1", "224.0.0.1"]
six = ["::1", "::", "::ffff:127.0.0.1", "ff02::1", "fe80::1", "2001:db8::1"]

def attempt(family, mode, address, prepare, send):
    try:
        s = socket.socket(family, mode)
        s.settimeout(0.2)
        prepare(s)
        send(s, (address, PORT) + ((0, index) if family == socket.AF_INET6 else ()))
        if s.recv(100) == b"HOST":
            print("reached", address, mode, prepare.__name__, send.__name__)
    except OSError:
        pass

def nothing(s): pass
def device(s): s.setsockopt(socket.SOL_SOCKET, 25, name.encode())
def unicast_interface(s):
    if s.family == socket.AF_INET: s.setsockopt(0, 50, struct.pack("!I", index))
    else: s.setsockopt(41, 76, struct.pack("!I", index))
def broadcast(s):
    device(s); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
def multicast(s):
    if s.family == socket.AF_INET: s.setsockopt(0, 32, struct.pack("@4s4si", b"", b"", index))
    else: s.setsockopt(41, 17, struct.pack("@i", index))
def source_route(s):
    device(s)
    if s.family == socket.AF_INET:
        s.setsockopt(0, 4, b"\x83\x07\x04" + socket.inet_aton("127.0.0.1") + b"\x00")
def from_interface(s):
    device(s)
    s.bind(("192.0.2.2" if s.family == socket.AF_INET else "2001:db8::2", 0))

def connect(s, to):
    s.connect(to)
    s.send(b"x")
def one(s, to): s.sendto(b"x", to)
def fast(s, to): s.sendto(b"x", 0x20000000, to)
def pktinfo(s, to):
    if s.family == socket.AF_INET:
        s.sendmsg([b"x"], [(0, 8, struct.pack("@i4s4s", index, b"", b""))], 0, to)
    else:
        s.sendmsg([b"x"], [(41, 50, struct.pack("@16si", b"", index))], 0, to)

attempts = []
for family, addresses in ((socket.AF_INET, four), (socket.AF_INET6, six)):
    for address in addresses:
        for prepare in (nothing, device, unicast_interface, broadcast, multicast, source_route, from_interface):
            for send in (one, pktinfo):
                attempts.append((family, socket.SOCK_DGRAM, address, prepare, send))
            if prepare not in (nothing, device, from_interface) and address not in ("127.0.0.1", "::1"):
                continue
            for send in (connect, fast):
                attempts.append((family, socket.SOCK_STREAM, address, prepare, send))
with concurrent.futures.ThreadPoolExecutor(24) as pool:
    list(pool.map(lambda one_of: attempt(*one_of), attempts))

s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
try:
    s.connect("\0paddock-uplink")
    print("reached the abstract socket")
except OSError:
    pass
for family, mode, protocol in ((socket.AF_INET, socket.SOCK_RAW, 17), (socket.AF_PACKET, socket.SOCK_RAW, 768)):
    try:
        socket.socket(family, mode, protocol)
        print("a raw socket", family)
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
for pid in os.listdir("/proc"):
    if not pid.isdigit():
        continue
    try:
        fd = os.open("/proc/%s/ns/net" % pid, os.O_RDONLY)
        if os.readlink("/proc/%s/ns/net" % pid) != os.readlink("/proc/self/ns/net") and libc.setns(fd, 0) == 0:
            print("entered the network of", pid)
    except OSError:
        pass
    try:
        if "paddock-uplink" in open("/proc/%s/net/unix" % pid).read():
            print("sees the sockets of outside through", pid)
    except OSError:
        pass
os.system("nft flush ruleset 2>/dev/null && echo flushed; ip link del " + name + " 2>/dev/null && echo deleted")
EOF
}

@test "uplink: the loopback services and abstract sockets outside are out of reach" {
        needs_uplink
        attacker
        bed_time=170 attack bed "$PADDOCK" run --net uplink python3 attack.py
        held
        unhit
}

@test "uplink: for root inside, too" {
        needs_uplink
        attacker
        bed_root=1 bed_time=170 attack bed "$PADDOCK" run --as root --net uplink python3 attack.py
        held
        unhit
}

@test "uplink: the same attack without an environment reaches them, so that these tests mean something" {
        needs_uplink
        attacker
        bed_time=170 attack bed python3 attack.py
        [[ $output == *"reached 127.0.0.1 "* && $output == *"reached ::1 "* && $output == *"abstract socket"* ]]
        [ -s "$PLACE/hits" ]
}

@test "uplink: without the filter IPv6 loopback would be reached, so that it is the filter that holds" {
        needs_uplink
        attacker
        bed_time=170 attack bed sh -c 'unshare -Un --map-user="$(id -u)" sleep 60 & p=$!
                sleep 0.3
                pasta --quiet --config-net --no-map-gw -t none -u none -T none -U none --netns "/proc/$p/ns/net" \
                        --userns "/proc/$p/ns/user" >/dev/null 2>&1
                nsenter -t "$p" -U --preserve-credentials -n ip link set lo up
                nsenter -t "$p" -U --preserve-credentials -n python3 attack.py'
        [[ $output == *"reached ::1 "* ]] || skip "this pasta does not forward to loopback addresses by itself"
}

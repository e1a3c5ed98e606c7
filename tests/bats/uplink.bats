#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# uplink.bats - a network of an environment's own that reaches outside (--net uplink), and published ports. All of it on a
# machine made for the test (bed.sh), whose world is another network namespace.

load common
load uplink
load boot

setup_file() { command -v python3 >/dev/null || skip "needs python3"; }

# A client for what services.py serves, for use inside.
client()
{
        cat >"$HOME/client.py" <<'EOF'
import socket, sys
for word in sys.argv[1:]:
    mode, address, port = word.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if mode == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(5)
    try:
        s.connect((address, int(port)))
        s.send(b"echo")
        print(s.recv(100).decode())
    except OSError as e:
        print(type(e).__name__)
EOF
}

# A server inside that answers everybody on TCP port 8090 and UDP port 18092 with "inside".
server()
{
        cat >"$HOME/server.py" <<'EOF'
import select, socket
t = socket.create_server(("", 8090), family=socket.AF_INET6, dualstack_ipv6=True)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("", 18092))
open("listening", "w").close()
while True:
    for s in select.select([t, u], [], [])[0]:
        if s is t:
            c, _ = t.accept()
            c.recv(100)
            c.sendall(b"inside")
            c.close()
        else:
            u.sendto(b"inside", u.recvfrom(100)[1])
EOF
}

@test "uplink: TCP and UDP, IPv4 and IPv6, reach the world" {
        needs_uplink
        client
        run bed "$PADDOCK" run --net uplink python3 client.py tcp/198.51.100.7/8000 udp/198.51.100.7/8000 \
                tcp/2001:db8:1::7/8000 udp/2001:db8:1::7/8000
        expect_status 0
        expect_output $'world\necho\nworld\necho'
        unhit
        no_temporary
}

@test "uplink: with --as root, which has no power over the network" {
        needs_uplink
        client
        bed_root=1 run bed "$PADDOCK" run --as root --net uplink sh -c 'python3 client.py tcp/198.51.100.7/8000
                ip link set lo down 2>/dev/null || echo refused
                python3 -c "import socket; socket.create_server((\"\", 80)); print(\"port 80\")"'
        expect_match $'world\nrefused\nport 80'
}

@test "uplink: a named environment, two runs of it at once, each with its own" {
        needs_uplink
        client
        run bed sh -c '"$PADDOCK" run -n two --net uplink sh -c "touch first; for i in \$(seq 200); do [ ! -e second ] || break; sleep 0.05; done" &
                for i in $(seq 50); do "$PADDOCK" run -n two --net uplink test -e first && break; sleep 0.1; done 2>/dev/null
                "$PADDOCK" run -n two --net uplink python3 client.py tcp/198.51.100.7/8000
                "$PADDOCK" run -n two --net uplink touch second; wait'
        expect_match world
        run "$PADDOCK" show --json two
        expect_match '"network": "uplink"'
}

@test "uplink: a started environment, with published ports; all is gone when it stops" {
        needs_uplink
        client
        server
        cat >web.yaml <<'EOF'
name: web
network: {uplink: yes, publish: ['18090:8090', 18092/udp, '[::1]:18091:8090']}
run:
  - [sh, -c, 'cd; exec python3 server.py']
EOF
        "$PADDOCK" create -f web.yaml
        run "$PADDOCK" show web
        expect_match "publish: \['18090:8090', '18092:18092/udp', '\[::1\]:18091:8090'\]"
        "$PADDOCK" show web >again.yaml
        "$PADDOCK" create -f again.yaml copy
        run bed sh -c '"$PADDOCK" start web
                for i in $(seq 50); do "$PADDOCK" enter web test -e "$HOME/listening" && break; sleep 0.1; done 2>/dev/null
                python3 client.py tcp/127.0.0.1/18090 udp/127.0.0.1/18092 tcp/::1/18091
                python3 client.py tcp/192.0.2.2/18090
                "$PADDOCK" enter web python3 client.py tcp/198.51.100.7/8000
                "$PADDOCK" stop --now web
                for i in $(seq 20); do pgrep -f "^/usr/bin/pasta|^[^ ]*paddock start" >/dev/null || break; sleep 0.1; done
                pgrep -f "^/usr/bin/pasta|^[^ ]*paddock start"
                python3 client.py tcp/127.0.0.1/18090
                "$PADDOCK" start web && "$PADDOCK" stop --now web && echo again'
        expect_status 0
        expect_output $'inside\ninside\ninside\nConnectionRefusedError\nworld\nConnectionRefusedError\nagain'
}

@test "uplink: what is published at every address is reached from the world, and nothing else is" {
        needs_uplink
        client
        server
        printf '%s\n' 'network: {uplink: yes, publish: ["*:18090:8090", "*:18092/udp"]}' \
                'run: [[sh, -c, "cd; exec python3 server.py"]]' >web.yaml
        "$PADDOCK" create -f web.yaml web
        bed_root=1 run bed sh -c '"$PADDOCK" start web
                for i in $(seq 50); do "$PADDOCK" enter web test -e "$HOME/listening" && break; sleep 0.1; done 2>/dev/null
                nsenter -t "$WORLD" -n python3 client.py tcp/192.0.2.2/18090 udp/192.0.2.2/18092 tcp/192.0.2.2/8090
                "$PADDOCK" stop --now web'
        expect_status 0
        expect_output $'inside\ninside\nConnectionRefusedError'
}

@test "uplink: a system with an init of its own, with a published port, that starts anew" {
        needs_uplink
        client
        barn '::respawn:/bin/busybox nc -ll -p 2200 -e /bin/echo sshd'
        bed_root=1 run bed sh -c '"$PADDOCK" boot --detach --net uplink --publish 12200:2200 -n farm t || exit 1
                ask() { for i in $(seq 50); do python3 client.py tcp/127.0.0.1/12200 | grep sshd && break; sleep 0.1; done; }
                ask
                "$PADDOCK" enter farm -- sh -c "busybox timeout 2 busybox nc 198.51.100.7 8000 </dev/null"; echo
                "$PADDOCK" enter farm -- reboot
                for i in $(seq 100); do "$PADDOCK" console farm </dev/null | grep -q restarts && break; sleep 0.1; done
                ask
                "$PADDOCK" boot --net uplink --publish 1:1 -n farm 2>&1
                "$PADDOCK" stop --now farm'
        expect_match $'^sshd\nworld(.*\n)+sshd\n.*farm. is there already, with another network'
        "$PADDOCK" rm farm
        "$PADDOCK" image rm barn
}

@test "uplink: a port that is taken, one for root, one of an address that is not here: told, with nothing left" {
        needs_uplink
        run bed "$PADDOCK" run --net uplink --publish 8081:80 true
        expect_status 125
        expect_match 'cannot publish tcp port 8081 of 127.0.0.1: .*in use'
        expect_match '--publish 18081:80'
        run bed "$PADDOCK" run --net uplink --publish 8081/udp true
        expect_match 'cannot publish udp port 8081'
        run bed "$PADDOCK" run --net uplink --publish 203.0.113.9:9000:80 true
        expect_status 125
        expect_match 'name an address that this machine has'
        run bed "$PADDOCK" run --net uplink --publish 99:80 true
        is_root || expect_match 'ports from 1024 on'
        expect_status 125
        no_temporary
}

@test "uplink: a publication that means nothing is refused before anything is made" {
        refused "behind the slash stands 'tcp' or 'udp'" --net uplink --publish 80:80/sctp
        refused 'a udp port has the same number' --net uplink --publish 8080:80/udp
        refused 'a port is a number' --net uplink --publish 0:80
        refused 'a port is a number' --net uplink --publish 80:65536
        refused 'a port is a number' --net uplink --publish x
        refused 'IPv6 in brackets' --net uplink --publish ::1:80:80
        refused 'published twice' --net uplink --publish 8080:80 --publish 8080:81
        refused "the network is 'inherit'" --publish 8080:80
        refused "the network is 'none'" --net none --publish 8080:80
        fails "the network is 'none'" boot --publish 8080:80 -n none /
        run "$PADDOCK" list
        expect_output ''
}

@test "uplink: what it lacks is told with its remedy" {
        needs_uplink
        run bed sh -c 'ip() { :; }; exec unshare -Urn --map-user="$(id -u)" "$PADDOCK" run --net uplink true'
        expect_status 125
        expect_match 'uplink cannot be made by pasta: .*interface'
        expect_match 'default route'
        printf '' >"$PLACE/nothing"
        run unshare -Urm sh -c 'mount --bind "$PLACE/nothing" /usr/bin/pasta
                exec unshare -U --map-user=1 "$PADDOCK" run --net uplink true'
        expect_status 125
        expect_match 'package passt'
        chmod 0 "$PLACE/nothing"
        is_root || {
                run unshare -Urm sh -c 'mount --bind "$PLACE/nothing" /dev/net/tun
                        exec unshare -U --map-user=1 "$PADDOCK" run --net uplink true'
                expect_status 125
                expect_match 'chmod 666 /dev/net/tun'
        }
}

@test "uplink: a resolver on the main system's loopback is reached, and nothing else there" {
        needs_uplink
        client
        echo 'nameserver 127.0.0.1' >"$PLACE/resolv.conf"
        run bed "$PADDOCK" run --net uplink sh -c 'grep ^nameserver /etc/resolv.conf
                python3 client.py udp/169.254.1.1/53 udp/127.0.0.1/53 udp/169.254.1.1/8081'
        expect_match $'nameserver 169.254.1.1\nresolved\n[A-Za-z]*Error\n[A-Za-z]*Error'
        unhit
}

@test "uplink: whoever is killed, nothing stays, and a pasta that is killed is started again" {
        needs_uplink
        client
        printf 'network: uplink\n' >a.yaml
        "$PADDOCK" create -f a.yaml a
        run bed sh -c 'left() { ps -e -o stat=,args= | grep -v "^Z" | grep -E "/usr/bin/pasta |paddock (run|start)" | grep -v grep; }
                "$PADDOCK" run --net uplink sleep 30 & p=$!
                for i in $(seq 100); do pgrep -f "^/usr/bin/pasta" >/dev/null && pgrep -f "^sleep 30" >/dev/null && break; sleep 0.05; done
                kill -9 "$p"
                for i in $(seq 50); do left >/dev/null || break; sleep 0.1; done
                left && exit 1
                "$PADDOCK" start a
                pkill -9 -f "^/usr/bin/pasta"
                for i in $(seq 20); do
                        [ "$("$PADDOCK" enter a python3 client.py tcp/198.51.100.7/8000)" != world ] || { echo again; break; }
                        sleep 0.2
                done
                pkill -9 -x paddock-uplink
                sleep 0.2
                pgrep -f "^/usr/bin/pasta" && exit 2
                "$PADDOCK" enter a true && "$PADDOCK" stop --now a && echo stopped'
        expect_status 0
        expect_output $'again\nstopped'
}

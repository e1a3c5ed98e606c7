#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The role `sockets`, answered by a server. Outside is a network of the test's own, with 10.9.8.7 on its loopback.

load common
load served
load boot

@test "served: a connection is put to the server, which lets it through or refuses it by an error" {
        described web 81=13 82=110
        run outside "$PADDOCK" run -f web.yaml -- sh -c "
                python3 say.py 10.9.8.7 80
                python3 say.py 10.9.8.7 81
                python3 say.py 10.9.8.7 82
                python3 say.py 10.9.8.7 9"
        expect_output $'80\nPermission denied\nConnection timed out\nConnection refused'
        run cat said
        expect_match $'^hello 1 \n'
        expect_match 'connect 10.9.8.7 80 - caller [0-9]'
}

@test "served: loopback is the environment's own, and nothing of it is asked" {
        described web
        run outside sh -c "python3 -c 'import socket, time; l = socket.socket(); l.bind((\"127.0.0.1\", 8080)); l.listen(); time.sleep(3)' & sleep 0.3
                \"\$PADDOCK\" run -f web.yaml -- python3 -c '
import socket
for host in (\"127.0.0.1\", \"0.0.0.0\"):
    try:
        socket.create_connection((host, 8080))
    except OSError as e:
        print(e.strerror)
for family, host in ((socket.AF_INET, \"127.0.0.1\"), (socket.AF_INET6, \"::1\"), (socket.AF_INET6, \"::ffff:127.0.0.1\")):
    l = socket.socket(family if host != \"::ffff:127.0.0.1\" else socket.AF_INET)
    l.bind((host.replace(\"::ffff:\", \"\"), 0))
    l.listen()
    c = socket.socket(family)
    c.connect((host, l.getsockname()[1]))
    l.accept()[0].send(b\"own\")
    print(c.recv(3).decode())
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind((\"127.0.0.1\", 0))
v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
v.connect(u.getsockname())
v.send(b\"datagram\")
print(u.recv(20).decode())
v.connect((\"10.9.8.7\", 5353))
'"
        expect_match $'Connection refused\nConnection refused\nown\nown\nown\ndatagram'
        expect_match 'Network is unreachable'
        not grep -q 'connect 127\|connect ::' said
}

@test "served: names are looked up by a resolver inside, which asks the server, and it learns them" {
        described web bad.example=1
        run outside "$PADDOCK" run -f web.yaml -- sh -c "
                python3 say.py good.example 80
                python3 say.py GOOD.example 80
                python3 say.py bad.example 80
                python3 say.py long.example 81
                python3 say.py nowhere.test 80"
        expect_match $'^80\n80\n.*not known\n81\n.*not known'
        run cat said
        expect_match 'resolve good.example'
        expect_match 'connect 10.9.8.7 80 good.example'
        expect_match 'connect 10.9.8.7 81 long.example'
        [ "$(grep -c 'resolve bad.example' said)" -ge 1 ]
}

@test "served: the server leads elsewhere, or gives a connection of its own" {
        described web 82=to:83 83=give
        run outside "$PADDOCK" run -f web.yaml -- sh -c "
                python3 say.py 10.9.8.7 82
                python3 say.py 10.9.8.7 83"
        expect_output $'83\ngiven'
}

@test "served: sockets that do not wait, epoll before connect, options, close-on-exec, threads" {
        described web
        cat >probe.py <<'X'
import errno, fcntl, select, socket, threading
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50000)
buffer = s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
s.setblocking(False)
e = select.epoll()
e.register(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
code = s.connect_ex(("10.9.8.7", 80))
print(code in (0, errno.EINPROGRESS))
got = b""
while b"80\n" not in got:
    for fd, events in e.poll(5) or [(-1, 0)]:
        assert fd == s.fileno(), events
    try:
        got += s.recv(20)
    except BlockingIOError:
        pass
e.modify(s, select.EPOLLIN)
e.unregister(s)
print(s.connect_ex(("10.9.8.7", 80)) == errno.EISCONN)
print(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
      s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == buffer, fcntl.fcntl(s, fcntl.F_GETFD),
      bool(fcntl.fcntl(s, fcntl.F_GETFL) & 0o4000))
k = socket.socket()
k.set_inheritable(True)
k.connect(("10.9.8.7", 81))
print(k.recv(9), fcntl.fcntl(k, fcntl.F_GETFD), fcntl.fcntl(k, fcntl.F_GETFL) & 0o4000)
r = socket.socket()
r.setblocking(False)
code = r.connect_ex(("10.9.8.7", 9))
select.select([], [r], [], 5)
print(code or r.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), r.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
done = []
def many():
    for _ in range(50):
        c = socket.create_connection(("10.9.8.7", 80))
        done.append(c.recv(9))
threads = [threading.Thread(target=many) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(done), set(done))
X
        run outside "$PADDOCK" run -f web.yaml -- python3 probe.py
        expect_output $'True\nTrue\n1 1 True 1 True\nb\'81\\n\' 0 0\n115 111\n400 {b\'80\\n\'}'
}

@test "served: a server that says nothing costs its callers ten seconds, and keeps neither kill nor stop waiting" {
        described web 81=silent
        "$PADDOCK" create -f web.yaml
        run outside bash -c "
                \"\$PADDOCK\" start web
                \"\$PADDOCK\" enter web -- python3 say.py 10.9.8.7 81 30 &
                \"\$PADDOCK\" enter web -- timeout -s KILL 1 python3 say.py 10.9.8.7 81 30
                echo killed \$?
                \"\$PADDOCK\" enter web -- python3 say.py 10.9.8.7 80
                \"\$PADDOCK\" servers web
                wait \$!
                \"\$PADDOCK\" enter web -- python3 say.py 10.9.8.7 81 30 & sleep 0.5
                before=\$(date +%s%N)
                \"\$PADDOCK\" stop web
                echo \$(((\$(date +%s%N) - before) / 1000000000)) s"
        expect_match 'killed 137'
        expect_match $'\n80\n'
        expect_match 'python3 .*server.py 81=silent'
        expect_match 'answers, pid [0-9]+'
        expect_match 'waits for the server'
        expect_match 'Connection timed out'
        expect_match '0 s'
}

@test "served: a server that ends is started again, and who waited for it is answered by the next one" {
        described web 81=end
        "$PADDOCK" create -f web.yaml
        run outside bash -c "
                \"\$PADDOCK\" start web
                \"\$PADDOCK\" enter web -- python3 say.py 10.9.8.7 81 2 &
                sleep 0.5
                \"\$PADDOCK\" serve web sockets -- python3 \$SERVER
                \"\$PADDOCK\" enter web -- python3 say.py 10.9.8.7 80
                kill -9 \$(\"\$PADDOCK\" servers --json web | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p' | head -1)
                \"\$PADDOCK\" enter web -- python3 say.py 10.9.8.7 82
                \"\$PADDOCK\" servers web
                \"\$PADDOCK\" stop web"
        expect_match $'\n?80\n'
        expect_match $'\n?82\n'
        expect_match $'\n?81\n' # which had waited
        expect_match 'restarts [1-9]'
}

@test "served: the supervisor killed: no connection is made any more, none leads past it, and it is told" {
        described web
        "$PADDOCK" create -f web.yaml
        run outside bash -c '
                "$PADDOCK" start web
                "$PADDOCK" enter web -- python3 say.py 10.9.8.7 80
                server=$("$PADDOCK" servers --json web | sed -n "s/.*\"pid\": \([0-9]*\).*/\1/p" | head -1)
                kill -9 "$(awk "/^PPid:/ { print \$2 }" "/proc/$server/status")"
                "$PADDOCK" enter web -- python3 say.py 10.9.8.7 80
                "$PADDOCK" servers web
                "$PADDOCK" restart web
                "$PADDOCK" enter web -- python3 say.py 10.9.8.7 80
                "$PADDOCK" stop web'
        expect_match $'^80\nFunction not implemented\n'
        expect_match "the supervisor of 'web' has ended"
        expect_match $'\n80$'
}

@test "served: replaced twenty times under load, and no client sees an error" {
        described web
        "$PADDOCK" create -f web.yaml
        run outside bash -c '
                "$PADDOCK" start web
                "$PADDOCK" enter web -- python3 -c "
import socket, time
end = time.time() + 6
count = 0
while time.time() < end:
    assert socket.create_connection((\"10.9.8.7\", 80)).recv(9) == b\"80\n\"
    count += 1
print(count > 100)" &
                load=$!
                for i in $(seq 20); do "$PADDOCK" serve web sockets -- python3 "$SERVER" || echo failed; sleep 0.2; done
                wait $load
                "$PADDOCK" stop web'
        expect_output True
        [ "$(grep -c ^hello said)" -ge 5 ]
}

@test "served: the connections of a system with an init of its own, too" {
        is_root || skip 'only root has more than one id in a network that a test made'
        barn
        described sub 81=13
        printf 'root: barn\nidentity: root\ninit: [/sbin/init]\n' >>sub.yaml
        "$PADDOCK" create -f sub.yaml
        cat >within.sh <<'X'
"$PADDOCK" start sub
until "$PADDOCK" console sub </dev/null | grep -q 'barn wakes'; do sleep 0.1; done
for port in 80 81; do "$PADDOCK" enter sub -- busybox nc -w 2 10.9.8.7 $port </dev/null; done
"$PADDOCK" stop sub
X
        mapless=yes run outside sh within.sh
        expect_match '(^|\n)80'
        expect_match 'Permission denied'
        "$PADDOCK" rm sub
        "$PADDOCK" image rm barn
}

@test "served: what makes no sense is dropped, wherever it comes from" {
        described web 81=rubbish
        described none
        sed -i 's/python3, .*\], r/true], r/' none.yaml
        run outside bash -c '"$PADDOCK" run -f none.yaml -- python3 say.py 10.9.8.7 80 30 & one=$!
                "$PADDOCK" run -f web.yaml -- python3 say.py 10.9.8.7 81 30
                "$PADDOCK" run -f web.yaml -- python3 say.py 10.9.8.7 80
                wait $one'
        expect_match $'Connection timed out\n(80|Connection timed out\n80)'
        [ "$(grep -c 'timed out' <<<"$output")" = 2 ] || grep -q 'Protocol error' <<<"$output"
}

@test "served: UNIX sockets work, and their peers see who is there" {
        described web
        cat >unix.py <<'X'
import os, socket, struct
def who(s):
    return struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
for name in ("./here", os.getcwd() + "/there", "\0abstract"):
    l = socket.socket(socket.AF_UNIX)
    l.bind(name)
    l.listen()
    c = socket.socket(socket.AF_UNIX)
    c.connect(name)
    a = l.accept()[0]
    print(who(a)[1] == os.getuid(), who(c)[1] == os.getuid())
try:
    socket.socket(socket.AF_UNIX).connect("/nowhere")
except OSError as e:
    print(e.strerror)
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
d.bind("dgram")
e = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
e.connect("dgram")
e.send(b"x")
print(d.recv(2))
X
        run outside "$PADDOCK" run -f web.yaml -- python3 unix.py
        expect_output $'True True\nTrue True\nTrue True\nNo such file or directory\nb\'x\''
}

@test "served: one within another is refused by name; without such a role it lives" {
        described web
        run outside "$PADDOCK" run -f web.yaml -- "$PADDOCK" run -f web.yaml -- true
        expect_status 125
        expect_match 'are served already'
        run outside "$PADDOCK" run -f web.yaml -- "$PADDOCK" run -- echo inner
        expect_output inner
}

@test "served: show and explain tell it, a record keeps it, and what is none is refused" {
        described web 81=13
        "$PADDOCK" create -f web.yaml
        run "$PADDOCK" show web
        expect_match 'sockets: \{serve: \[python3, .*server.py, "?81=13"?\], resolver: "?10.9.8.7:5353"?\}'
        run "$PADDOCK" run -f web.yaml --explain
        expect_match 'network +own; connections that lead out, and names, are put to a server'
        run "$PADDOCK" run -f web.yaml --explain --json
        expect_match '"network": "served"'
        run "$PADDOCK" servers web
        expect_match 'sockets +serve +python3 .*server.py 81=13'
        run "$PADDOCK" serve web sockets -- true
        expect_status 125
        expect_match 'is not started'
        run "$PADDOCK" serve web files -- true
        expect_match "no server can answer the role 'files'"
        "$PADDOCK" create plain
        "$PADDOCK" start plain
        run "$PADDOCK" serve plain sockets -- true
        expect_match 'answered by the kernel since it was started'
        "$PADDOCK" stop plain
        printf 'sockets: {serve: [true], allow: ["*"]}\n' >both.yaml
        run inside -f both.yaml -- true
        expect_match 'not by both'
        printf 'sockets: {allow: ["a b"]}\n' >rule.yaml
        run inside -f rule.yaml -- true
        expect_match 'is no rule for connections'
        printf 'sockets: {resolver: x}\n' >resolver.yaml
        run inside -f resolver.yaml -- true
        expect_match 'is no resolver'
}

@test "allow: connections that no rule allows are refused, by address, port and name; names that none allows do not exist" {
        run outside "$PADDOCK" run --allow 10.9.8.7:80 --allow 10.9.8.7:82-83 -- sh -c '
                for port in 80 81 82 83; do python3 say.py 10.9.8.7 $port; done
                python3 say.py good.example 80'
        expect_match $'^80\nPermission denied\n82\n83\n.*not known'
        for rule in '*' 10.0.0.0/8 10.9.8.7; do
                run outside "$PADDOCK" run --allow "$rule" -- python3 say.py 10.9.8.7 81
                expect_output 81
        done
        run outside "$PADDOCK" run --allow 10.9.9.0/24 --allow '[fd00::]/8' --allow 10.9.8.6 -- python3 say.py 10.9.8.7 81
        expect_output 'Permission denied'
        for rule in 'a b' 1.2.3 'x:y' 10.0.0.0/33 '*x' '' '[10.0.0.1]:80' 'a:70000' 'a:5-2'; do
                run outside "$PADDOCK" run --allow "$rule" -- python3 say.py 10.9.8.7 81
                expect_status 125
                expect_match 'no rule for connections'
        done
}

@test "allow: a rule by name lets what the resolver said through; a private address needs a rule of its own" {
        printf 'name: web\nsockets: {allow: ["*.example:80", "10.9.8.7:80", good.example], resolver: "10.9.8.7:5353"}\n' >web.yaml
        run outside "$PADDOCK" run -f web.yaml -- sh -c '
                python3 say.py good.example 80
                python3 say.py deep.good.example 80
                python3 say.py good.example 81
                python3 say.py nowhere.test 80'
        # 10.9.8.7 is private: a name that leads there does not open its other ports.
        expect_match $'^80\n80\nPermission denied\n.*not known'
}

@test "allow: a started environment keeps its rules, and gets others by serve" {
        printf 'name: web\nsockets: {allow: ["10.9.8.7:80"]}\n' >web.yaml
        "$PADDOCK" create -f web.yaml
        run outside bash -c '
                "$PADDOCK" start web
                "$PADDOCK" enter web -- python3 say.py 10.9.8.7 80
                "$PADDOCK" enter web -- python3 say.py 10.9.8.7 81
                policy=$(dirname "$PADDOCK")/paddock-sockets-policy
                [ -x "$policy" ] || policy=$(dirname "$PADDOCK")/../servers/sockets-policy/paddock-sockets-policy
                "$PADDOCK" serve web sockets -- "$policy" --allow "*" --deny 10.9.8.7:80
                "$PADDOCK" enter web -- python3 say.py 10.9.8.7 80
                "$PADDOCK" enter web -- python3 say.py 10.9.8.7 81
                "$PADDOCK" servers web | grep asked
                "$PADDOCK" stop web'
        expect_match $'80\nPermission denied\nPermission denied\n81\n'
        expect_match 'asked 4, allowed 2, refused 2'
}

@test "allow: curl, git and apt reach what they may" {
        command -v git curl >/dev/null
        git init -q -b main hay
        git -C hay -c user.name=a -c user.email=a@b commit -q --allow-empty -m hay
        git -C hay update-server-info
        cat >web.py <<'X'
import http.server, functools
http.server.ThreadingHTTPServer(("10.9.8.7", 8000), functools.partial(http.server.SimpleHTTPRequestHandler, directory="hay/.git")).serve_forever()
X
        run outside bash -c 'python3 web.py 2>/dev/null & web=$!
                sleep 0.5
                "$PADDOCK" run --allow 10.9.8.7:8000 -- sh -c "curl -s http://10.9.8.7:8000/HEAD; git clone -q http://10.9.8.7:8000/ copy && git -C copy log --format=%s"
                "$PADDOCK" run --allow 10.9.8.7:80 -- sh -c "curl -sS http://10.9.8.7:8000/HEAD; git clone -q http://10.9.8.7:8000/ other"
                kill $web'
        expect_match $'^ref: refs/heads/main\nhay\n'
        expect_match 'Failed to connect|Couldn.t connect'
        [ ! -e other ]
}

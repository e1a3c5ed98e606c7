#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# `paddock channel`: links between an environment that runs and the outside.

load common
load grants
load boot
load channels
eval "original_$(declare -f teardown)"
teardown() { end_web; original_teardown; }

@test "channel: a stream, on which whoever comes on both sides meets" {
        field web
        run channel web log stream
        expect_status 0
        expect_output "web: $IN/log - $(partner web log)"
        [ "$(stat -c %a "$(dirname "$(partner web log)")")" = 700 ]
        $END talk "$(partner web log)" 'from outside' >got.outside 3>&- &
        outside=$!
        [ "$(enter sh -c "$END talk $IN/log 'from inside'")" = 'from outside' ]
        wait "$outside"
        [ "$(cat got.outside)" = 'from inside' ]
        enter sh -c "$END talk $IN/log 'the other way'" >got.inside 3>&- &
        inside=$!
        [ "$($END talk "$(partner web log)" 'round')" = 'the other way' ]
        wait "$inside"
        [ "$(cat got.inside)" = round ]
        is_held 'channel +- +revocable .* stream .*/channel/log at /run/paddock/channel/log'
        run channel web
        expect_match '^NAME +KIND'
        expect_match $'\nlog +stream '
        channel web --json | python3 -c 'import json,sys
c, = json.load(sys.stdin)
assert (c["name"], c["kind"], c["inside"]) == ("log", "stream", "/run/paddock/channel/log"), c
assert c["outside"].endswith("/channel/log") and c["used"], c'
        audit_has '"granted".*"stream '
        audit_has '"used".*"stream '
        fails 'is granted already' channel web log stream
        channel web --remove log
        enter test ! -S "$IN/log"
        [ ! -e "$(partner web log)" ]
        fails 'is not granted' channel web --remove log
        audit_has '"revoked".*"stream '
}

@test "channel: a program listens outside, or inside" {
        field web
        $END answer "$OUT/server" 3>&- &
        children+=($!)
        eventually test -S "$OUT/server"
        channel web up stream --outside "$OUT/server"
        [ "$(enter sh -c "$END talk $IN/up hello")" = HELLO ]
        start enter sh -c "$END answer /tmp/inner"
        listening() { enter test -S /tmp/inner; }
        eventually listening
        channel web down stream --inside /tmp/inner
        [ "$($END talk "$(partner web down)" 'good day')" = 'GOOD DAY' ]
        # A name that leads nowhere ends the connection, and is told.
        channel web gone stream --inside /tmp/nobody
        [ "$($END talk "$(partner web gone)" x)" = '' ]
        told() { audit_has 'unanswered.*nobody answers'; }
        eventually told
}

@test "channel: between two environments" {
        field web
        field two
        run channel web link stream --to two
        expect_status 0
        expect_output "web, two: $IN/link"
        "$PADDOCK" enter two -- sh -c "$END talk $IN/link 'from two'" >got.two 3>&- &
        two=$!
        [ "$(enter sh -c "$END talk $IN/link 'from web'")" = 'from two' ]
        wait "$two"
        [ "$(cat got.two)" = 'from web' ]
        "$PADDOCK" enter two -- sh -c "$END hold $IN/link" >held 3>&- &
        held=$!
        holds() { grep -q held held; }
        eventually holds
        channel web --remove link
        wait "$held"
        grep -q ended held
        "$PADDOCK" stop --now two
}

@test "channel: taking it back ends what is open; a peer that never reads keeps nobody waiting" {
        field web
        $END answer "$OUT/server" 3>&- &
        children+=($!)
        channel web log stream
        $END hold "$(partner web log)" >held 3>&- &
        held=$!
        enter sh -c "$END fill $IN/log" >filled 3>&- &
        filled=$!
        full() { [ -s filled ]; }
        eventually full
        [ "$(cat filled)" -lt 2000000 ]
        before=$SECONDS
        run channel web --remove log
        expect_status 0
        [ $((SECONDS - before)) -lt 5 ]
        expect_match 'bytes reached nobody'
        wait "$filled"
        wait "$held"
        grep -q ended held
}

@test "channel: what is wrong is told" {
        fails 'which environment' channel
        fails 'there is no environment' channel nobody
        printf 'name: web\n' >"$PLACE/web.yaml"
        "$PADDOCK" create -f "$PLACE/web.yaml"
        fails 'is not started' channel web log stream
        "$PADDOCK" start web
        fails 'is no kind of channel' channel web log tube
        fails 'cannot be the name' channel web ../x stream
        fails 'cannot be the name' channel web a/b stream
        fails 'exclude each other' channel web log stream --outside /x --inside /y
        fails 'no place of a port' channel web log port outside:0 inside:1
        fails 'one of the two' channel web log port inside:1 inside:2
        run channel web
        expect_status 0
        [ -z "$output" ]
}

@test "channel: a subhurd, with its own init and a fresh /run" {
        barn
        boot --detach barn
        eventually said barn 'the barn wakes'
        channel barn log stream
        "$PADDOCK" enter barn -- sh -c "test -S $IN/log"
        $END answer "$OUT/server" 3>&- &
        children+=($!)
        channel barn up stream --outside "$OUT/server"
        "$PADDOCK" enter barn -- ls "$IN" | grep -q up
        channel barn --remove log
        "$PADDOCK" enter barn -- sh -c "test ! -S $IN/log"
        "$PADDOCK" stop --now barn
}

@test "channel: a port, both ways; many connections at once" {
        field web
        out=$(free_port) in=$(free_port)
        start enter sh -c "$END answer 8080"
        run channel web http port "outside:$out" inside:8080
        expect_status 0
        works() { [ "$($END talk "$out" hello 2>/dev/null)" = HELLO ]; }
        eventually works
        [ "$($END many "$out" 60)" = 'all good' ]
        $END answer "$in" 3>&- &
        children+=($!)
        channel web db port inside:5432 "outside:$in"
        talks() { [ "$(enter sh -c "$END talk 5432 query" 2>/dev/null)" = QUERY ]; }
        eventually talks
        # Only by the channel.
        run enter sh -c "$END talk $in x"
        [ "$status" != 0 ]
        run channel web again port "outside:$out" inside:1
        expect_status 125
        expect_match 'cannot listen on'
        fails 'Address .*in use' channel web again port inside:5432 outside:1
        $END hold "$out" >held 3>&- &
        held=$!
        holds() { grep -q held held; }
        eventually holds
        channel web --remove http
        wait "$held"
        run $END talk "$out" x
        [ "$status" != 0 ]
        # A UNIX socket outside leads to a port inside.
        channel web sock port "outside:$OUT/sock" inside:8080
        [ "$(stat -c %a "$OUT/sock")" = 600 ]
        [ "$($END talk "$OUT/sock" hello)" = HELLO ]
        fails 'already' channel web sock2 port "outside:$OUT/sock" inside:8080
        channel web --remove sock
        [ ! -e "$OUT/sock" ]
}

@test "channel: files, a directory both see" {
        needs_fuse
        field web
        channel web inbox files
        dir=$(partner web inbox)
        echo out >"$dir/a"
        [ "$(enter cat "$IN/inbox/a")" = out ]
        enter sh -c "echo in >$IN/inbox/b; mkdir $IN/inbox/c"
        [ "$(cat "$dir/b")" = in ]
        [ "$(stat -c %u "$dir/b")" = "$(id -u)" ]
        mkdir "$OUT/shared"
        channel web own files "$OUT/shared"
        enter touch "$IN/own/x"
        [ -e "$OUT/shared/x" ]
        channel web | grep -q '^inbox  *files '
        channel web --remove inbox
        run enter cat "$IN/inbox/a"
        [ "$status" != 0 ]
        [ "$(cat "$dir/b")" = in ]
}

@test "channel: exec, inside asks outside for one of the listed commands" {
        field web
        printf '#!/bin/sh\necho "$# $1"; echo oops >&2; env | sort; cat; exit 7\n' >"$OUT/tool"
        chmod 755 "$OUT/tool"
        LEAK=secret channel web run exec tool "$OUT/tool" '$HOME; id' -- now /bin/echo it is time -- wait /bin/sleep 60
        call() { enter "$PADDOCK" channel --call "$IN/run" "$@"; }
        run call now </dev/null
        expect_status 0
        expect_output 'it is time'
        run bash -c "echo fed | '$PADDOCK' enter web -- '$PADDOCK' channel --call $IN/run tool 2>err"
        expect_status 7
        expect_match '^1 [$]HOME; id'
        expect_match 'fed$'
        [[ ! $output =~ secret|LEAK|PADDOCK ]]
        [ "$(cat err)" = oops ]
        run call other </dev/null
        expect_status 125
        expect_match 'there is no such command'
        run call "$OUT/tool" </dev/null
        expect_status 125
        fails 'no absolute name' channel web bad exec x date
        call wait </dev/null >/dev/null 2>&1 3>&- &
        called=$!
        sleeps() { pgrep -u "$(id -u)" -f '^/bin/sleep 60$' >/dev/null; }
        eventually sleeps
        channel web --remove run
        wait "$called" || true
        run call now </dev/null
        expect_status 125
}

@test "channel: messages keep their bounds" {
        field web
        channel web words messages
        python3 - "$(partner web words)" >got 3>&- <<'END' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
while True:
    m = s.recv(200000)
    if not m:
        break
    print(len(m))
    s.send(b'got %d' % len(m))
END
        other=$!
        enter python3 - $IN/words >back <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
for n in (1, 5, 100000, 3):
    s.send(b'x' * n)
    print(s.recv(100).decode())
END
        wait "$other"
        [ "$(tr '\n' ' ' <got)" = '1 5 100000 3 ' ]
        [ "$(head -3 back | tail -1)" = 'got 100000' ]
}

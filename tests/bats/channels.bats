#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Channels that a description has, or that are kept from one start to the next; ports of UDP and of IPv6.

load common
load grants
load boot
load channels
eval "original_$(declare -f teardown)"
teardown() { end_web; original_teardown; }

has() { [ "$(channel "$1" | awk -v name="$2" '$1 == name { print $2 }')" = "$3" ]; }

@test "channels: what a description has is opened at each start, and shown" {
        out=$(free_port)
        field web 'channels:' '  inbox: files' "  papers: {files: $OUT}" '  log: stream' '  words: messages' \
                "  up: {stream: {outside: $OUT/server}}" '  down: {stream: {inside: /tmp/inner}}' \
                "  http: {port: [outside:$out, inside:8080]}" '  tool: {exec: {now: [/bin/echo, it is, "a b"], id: [/bin/true]}}'
        for one in inbox:files papers:files log:stream words:messages up:stream down:stream http:port tool:exec; do
                has web "${one%:*}" "${one#*:}"
        done
        run channel web
        expect_match $'\ninbox .* \\[described\\]'
        enter sh -c "echo note >$IN/inbox/note; echo more >$IN/papers/more"
        [ "$(cat "$(partner web inbox)/note" "$OUT/more")" = $'note\nmore' ]
        run enter "$PADDOCK" channel --call "$IN/tool" now </dev/null
        expect_output 'it is a b'
        is_held 'channel .* description .* stream .*/channel/log at'
        # What is shown makes the same again.
        "$PADDOCK" show web >shown
        grep -q '^channels:$' shown
        "$PADDOCK" stop --now web
        run channel web
        expect_match $'\nlog +stream +next start +- +- \\[described\\]'
        sed 's/^name: .*/name: two/' shown >two.yaml
        "$PADDOCK" create -f two.yaml
        diff <("$PADDOCK" show two | sed '/^name:/d; /^#/d') <(sed '/^name:/d; /^#/d' shown)
        "$PADDOCK" start web
        has web http port
        enter sh -c "cat $IN/inbox/note"
        # Ended by hand, it is back at the next start.
        channel web --remove log
        enter test ! -S "$IN/log"
        "$PADDOCK" restart web
        has web log stream
        enter test -S "$IN/log"
        # One that cannot be opened is told; the others are.
        "$PADDOCK" stop --now web
        $END answer "$out" 3>&- &
        children+=($!)
        taken() { [ "$($END talk "$out" x 2>/dev/null)" = X ]; }
        eventually taken
        run "$PADDOCK" start web
        expect_status 125
        expect_match "channel 'http' is not opened: cannot listen on outside:$out"
        has web log stream
        has web http ''
}

@test "channels: run opens what the description has, too" {
        printf 'name: web\nnetwork: none\nchannels: {up: {stream: {outside: %s}}}\n' "$OUT/server" >web.yaml
        $END answer "$OUT/server" 3>&- &
        children+=($!)
        eventually test -S "$OUT/server"
        run "$PADDOCK" run -f web.yaml -- sh -c "$END talk $IN/up hello"
        expect_status 0
        expect_output HELLO
        run "$PADDOCK" list
        [[ ! $output =~ run- ]]
}

@test "channels: a subhurd has its own at each boot, and over a reboot of its own" {
        barn
        printf 'name: calf\nroot: barn\nidentity: root\nnetwork: none\ninit: [/sbin/init]\nchannels: {log: stream, inbox: files}\n' >calf.yaml
        "$PADDOCK" create -f calf.yaml
        "$PADDOCK" boot --detach -n calf
        eventually said calf 'the barn wakes'
        "$PADDOCK" enter calf -- sh -c "echo one >$IN/inbox/from; test -S $IN/log"
        [ "$(cat "$(partner calf inbox)/from")" = one ]
        types calf 'touch /run/first; reboot' 3 >/dev/null
        anew() { "$PADDOCK" enter calf -- sh -c "test ! -e /run/first" 2>/dev/null; }
        eventually said calf 'calf restarts'
        eventually anew
        "$PADDOCK" enter calf -- sh -c "cat $IN/inbox/from; test -S $IN/log"
        "$PADDOCK" stop --now calf
        "$PADDOCK" boot --detach -n calf
        "$PADDOCK" enter calf -- sh -c "cat $IN/inbox/from; test -S $IN/log"
}

@test "channels: --keep: over restarts, before the first start, until it is taken back" {
        field web
        run channel web log stream --keep
        expect_status 0
        expect_output "web: $IN/log - $(partner web log), kept"
        run channel --keep web tool exec now /bin/echo kept words
        expect_status 0
        "$PADDOCK" restart web
        enter test -S "$IN/log"
        run enter "$PADDOCK" channel --call "$IN/tool" now </dev/null
        expect_output 'kept words'
        run channel web
        expect_match $'\nlog +stream .* \\[kept\\]'
        is_held 'channel .* kept '
        "$PADDOCK" stop --now web
        run channel web box files --keep
        expect_output "web: $IN/box, from the next start on"
        channel web --json | python3 -c 'import json,sys
assert {(c["name"], c["kept"], "id" in c) for c in json.load(sys.stdin)} == {("log", True, False), ("tool", True, False), ("box", True, False)}'
        fails 'two channels have the name' channel web box stream --keep
        run channel web --remove log
        expect_output "web: 'log' is not kept any more"
        fails "has no channel 'log' that is kept" channel web --remove log
        "$PADDOCK" start web
        has web log ''
        has web box files
        # --remove of one that is open does both; so does revoke.
        channel web --remove box
        "$PADDOCK" revoke web "$IN/tool"
        "$PADDOCK" restart web
        run channel web
        [ -z "$output" ]
        # One that is taken already is not kept a second time.
        channel web log stream
        fails 'is granted already' channel web log stream --keep
        "$PADDOCK" restart web
        has web log ''
}

@test "channels: a kept file that is damaged is told, and the environment starts" {
        field web
        channel web log stream --keep
        "$PADDOCK" stop --now web
        echo trash >"$XDG_STATE_HOME/paddock/env/web/channels"
        run "$PADDOCK" start web
        expect_status 125
        expect_match 'kept channels are damaged'
        enter true
        fails 'kept channels are damaged' channel web x stream --keep
        fails 'cannot be the name' channel web --remove ../x
}

@test "channels: what is wrong in a description is told with its place" {
        wrong() { # LINE MESSAGE
                printf 'channels:\n  %s\nname: bad\n' "$1" >bad.yaml
                run "$PADDOCK" create -f bad.yaml
                expect_status 125
                expect_match "bad.yaml:2:$2"
        }
        wrong 'log: tube' "8: unknown kind of channel 'tube'; .*stream, messages, port, files, exec"
        wrong 'log: streem' "8: unknown kind of channel 'streem'; did you mean 'stream'"
        wrong '../x: stream' "3: '../x' cannot be the name of a channel"
        wrong 'p: port' "6: 'port' needs a value"
        wrong 'p: {port: [outside:1]}' '6: a port channel needs'
        wrong 'p: {port: [outside:1, outside:2]}' '6: one of the two'
        wrong 'p: {port: [outside:1/udp, inside:2]}' '6: both ends of a port are of udp'
        wrong 'p: {port: [outside:0, inside:2]}' "6: 'outside:0' is no place of a port"
        wrong 'e: {exec: {a: [date]}}' "6: 'date' is no absolute name"
        wrong 'e: {exec: [a]}' "13: 'exec' takes a map"
        wrong 'e: {exec: {a: [/bin/echo, "--"]}}' "17: '--' cannot be"
        wrong 's: {stream: {outsid: /x}}' "16: unknown end of a channel 'outsid'; did you mean 'outside'"
        wrong 's: {stream: {inside: x}}' "6: 'x' is no absolute name of a socket"
        wrong 's: {stream: {to: a/b}}' '6: '
        wrong 's: {stream: {to: a}, files: /x}' '6: a channel has one kind'
}

@test "channels: a port of UDP, both ways" {
        field web
        out=$(free_port udp) in=$(free_port udp)
        start enter sh -c "$END echo 5300"
        run channel web dns port "outside:$out/udp" inside:5300/udp
        expect_status 0
        works() { [ "$($END ask "$out" hello)" = HELLO ]; }
        eventually works
        [ "$($END asks "$out" 40)" = 'all good' ]
        $END echo "$in" 3>&- &
        children+=($!)
        channel web syslog port inside:514/udp "outside:$in/udp"
        talks() { [ "$(enter sh -c "$END ask 514 query")" = QUERY ]; }
        eventually talks
        run channel web
        expect_match "dns +port .* outside:$out/udp > inside:5300/udp"
        # Each has its own answers, and more talk than there is room for at once.
        [ "$(enter sh -c "$END asks 514 300")" = 'all good' ]
        fails 'cannot listen on' channel web again port "outside:$out/udp" inside:1/udp
        fails 'both ends' channel web again port "outside:$out/udp" inside:1
        fails 'no place of a port' channel web again port outside:7/sctp inside:1/sctp
        channel web --remove dns
        [ "$($END ask "$out" x)" = 'no answer' ]
        python3 -c 'import socket,sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", int(sys.argv[1])))' "$out"
        # Nobody answers there: it is told, and the channel lives.
        channel web none port "outside:$out/udp" inside:5999/udp
        $END ask "$out" x >/dev/null
        told() { audit_has 'unanswered'; }
        eventually told
        start enter sh -c "$END echo 5999"
        eventually works
}

@test "channels: a port of IPv6, and from one family to the other" {
        [ -e /proc/net/if_inet6 ] && python3 -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))' || skip 'there is no IPv6 here'
        field web
        out=$(free_port) in=$(free_port) udp=$(free_port udp)
        start enter sh -c "$END answer [::1]:8080"
        start enter sh -c "$END echo [::1]:5300"
        channel web six port "outside:[::1]:$out" 'inside:[::1]:8080'
        works() { [ "$($END talk "[::1]:$out" hello 2>/dev/null)" = HELLO ]; }
        eventually works
        # The same number of the other family is another port.
        channel web four port "outside:$out" 'inside:[::1]:8080'
        [ "$($END talk "$out" 'from four')" = 'FROM FOUR' ]
        $END answer "[::1]:$in" 3>&- &
        children+=($!)
        channel web back port 'inside:[::1]:5432' "outside:[::1]:$in"
        talks() { [ "$(enter sh -c "$END talk [::1]:5432 query" 2>/dev/null)" = QUERY ]; }
        eventually talks
        channel web dns port "outside:[::1]:$udp/udp" 'inside:[::1]:5300/udp'
        asked() { [ "$($END ask "[::1]:$udp" name)" = NAME ]; }
        eventually asked
        channel web --remove six
        ! $END talk "[::1]:$out" x 2>/dev/null
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What must not hold socket-relay up, bring it down, or make it grow.

load common

@test "a server that never reads holds up its own client alone, and takes no memory of the relay" {
        relay
        serves stream sink
        granted stream
        for _ in $(seq 50); do start "$TOOLS/tool" stuff "$C" >>"$PLACE/stuffed" 7>&-; done
        stuffed() { [ "$(wc -l <"$PLACE/stuffed")" = 50 ]; }
        eventually stuffed
        # what one queue before and one behind the relay hold
        [ "$(sort -n "$PLACE/stuffed" | tail -1)" -lt 2000000 ]
        [ "$(kilobytes)" -lt 6000 ]
        before=$(ticks)
        sleep 1
        [ "$(($(ticks) - before))" -lt 10 ] # and waits without working
        S=$PLACE/other serves stream
        says "add 2 stream $PLACE/d $PLACE/other" "done 2 0"
        [ "$(tool half "$PLACE/d")" = half-closed ]
        says revoke 1 "done 1 0 lost"
        leave
}

@test "a server that does not accept, with a full queue: clients wait, others pass, revoke ends all" {
        relay
        start python3 -c 'import socket,sys,time
s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1); print("listens",flush=True); time.sleep(60)' "$S" >"$PLACE/served" 7>&-
        eventually grep -q listens "$PLACE/served"
        granted stream
        for _ in $(seq 20); do start "$TOOLS/tool" open "$C" >>"$PLACE/open" 7>&-; done
        sleep 0.3
        S=$PLACE/other serves stream
        says "add 2 stream $PLACE/d $PLACE/other" "done 2 0"
        [ "$(tool half "$PLACE/d")" = half-closed ]
        says revoke 1 "done 1 0.*"
        all_refused() { [ "$(grep -c refused "$PLACE/open")" = 20 ]; }
        eventually all_refused
        leave
}

@test "nobody listens outside: told once, and the client sees the end" {
        relay
        serves stream
        granted stream
        kill -KILL "$served"
        for _ in 1 2 3; do [ "$(tool open "$C")" = refused ]; done
        eventually heard "failed 1 -111"
        [ "$(grep -c failed "$PLACE/answers")" = 1 ]
        leave
}

@test "the outer socket is of another type" {
        relay
        serves seqpacket
        granted stream
        [ "$(tool open "$C")" = refused ]
        eventually heard "failed 1 -91"
        leave
}

@test "malformed messages of the warden are answered, and change nothing" {
        relay
        serves stream
        granted stream
        says raw 00 "done 0 -74"
        says raw 0100000001000000 "done .* -74"
        says raw 0200000001000000010000000000000000000000000000000000000000000000 "done 1 -71"       # version 2
        says raw 0100000001000000020000000000000000000000000000000000000000000000 "done 2 -74"       # ADD without descriptors
        says raw 0100000063000000020000000000000000000000000000000000000000000000 "done 2 -74"       # no such type
        says raw 0100000002000000090000000000000000000000000000000000000000000000 "done 9 -2"        # no such grant
        says "add 1 stream $PLACE/d $S" "done 1 -17"
        says "add 2 stream $PLACE/d $HOME" "done 2 -88"
        says "add 0 stream $PLACE/d $S" "done 0 -22"
        few() { [ "$(descriptors)" -lt 10 ]; }
        eventually few
        [ "$(tool half "$C")" = half-closed ]
        leave
}

@test "few descriptors: connections beyond them wait, and nothing else does" {
        (
                ulimit -n 200
                relay
                serves stream
                granted stream
                for _ in $(seq 150); do start "$TOOLS/tool" open "$C" >>"$PLACE/open" 7>&-; done
                some() { [ "$(grep -c open "$PLACE/open")" -ge 40 ]; }
                eventually some
                says "revoke 1" "done 1 0.*"
                says "add 2 stream $PLACE/d $S" "done 2 0"
                [ "$(tool half "$PLACE/d")" = half-closed ]
                leave
        )
}

# A FUSE file whose server does not answer FLUSH: closing it waits.
@test "a file that cannot be closed holds up neither the relay nor revoke" {
        [ -w /dev/fuse ] || skip "no /dev/fuse"
        command -v fusermount3 >/dev/null || skip "no fusermount3"
        cc -std=gnu17 -D_GNU_SOURCE -O1 -o "$PLACE/hang" "$BATS_TEST_DIRNAME/hang.c" || return 1
        relay
        serves stream
        serves_seq() { S=$PLACE/other serves seqpacket; }
        serves_seq
        granted stream
        says "add 2 seqpacket $PLACE/d $PLACE/other" "done 2 0"
        # in a mount namespace of its own, as a program inside could make it
        start unshare --user --map-root-user --mount --propagation private "$PLACE/hang" "$PLACE/out" "$TOOLS/tool" hung stream "$C" >"$PLACE/hung" 7>&-
        eventually grep -q passed "$PLACE/hung"
        sleep 0.3
        [ "$(tool half "$C")" = half-closed ]
        says revoke 1 "done 1 0.*"
        [ "$(tool boundaries "$PLACE/d")" = kept ] || [ "$(tool boundaries "$PLACE/d")" = kept ]
        says revoke 2 "done 2 0.*"
        kill -KILL "$started"
        leave
}

@test "connections that come and go leave nothing" {
        relay
        serves stream
        granted stream
        for _ in $(seq 20); do tool flow "$C" 1000 >/dev/null; done
        before=$(kilobytes)
        for _ in $(seq 300); do tool flow "$C" 1000 >/dev/null; done
        [ "$(kilobytes)" -le "$((before + 300))" ]
        few() { [ "$(descriptors)" -lt 10 ]; }
        eventually few
        leave
}

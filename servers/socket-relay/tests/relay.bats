#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What a connection through socket-relay carries.

load common

@test "bytes both ways, a mebibyte and odd sizes" {
        relay
        serves stream
        granted stream
        tool flow "$C" 100000001 | grep same
        heard "used 1 0"
        leave
}

@test "half-close: the other way stays open" {
        relay
        serves stream
        granted stream
        [ "$(tool half "$C")" = half-closed ]
        leave
}

@test "descriptors come with the byte that they were sent with, up to 253 of them, both ways; none stays open in the relay" {
        relay
        serves stream orderly
        granted stream
        before=$(descriptors)
        [ "$(tool order "$C")" = "in order" ]
        ends_with 0
        few() { [ "$(descriptors)" -le "$before" ]; }
        eventually few
        leave
}

@test "seqpacket: messages stay what they are, empty ones, large ones and those with descriptors" {
        relay
        serves seqpacket
        [ "$(tool boundaries "$S")" = kept ]
        granted seqpacket
        [ "$(tool boundaries "$C")" = kept ]
        leave
}

@test "datagrams reach the server, with descriptors; nothing comes back" {
        relay
        serves dgram
        granted dgram
        tool send "$C" one two +three ""
        eventually grep -qx 'got +three (1)' "$PLACE/served"
        grep -qx 'got one (0)' "$PLACE/served"
        eventually grep -qx 'got  (0)' "$PLACE/served"
        eventually heard "used 1 0"
        says revoke 1 "done 1 0.*"
        not tool send "$C" more
        leave
}

@test "urgent data disturbs nothing" {
        relay
        serves stream
        tool oob "$S"
        granted stream
        [ "$(tool oob "$C")" = undisturbed ]
        leave
}

@test "a thousand connections at once, and all of them end before revoke is answered" {
        relay
        serves stream
        granted stream
        mkfifo "$PLACE/go"
        exec 6<>"$PLACE/go"
        start sh -c 'exec "$1" clients 1000 stream "$2" <"$3" 6>&- 7>&-' sh "$TOOLS/tool" "$C" "$PLACE/go" >"$PLACE/clients"
        eventually grep -q connected "$PLACE/clients"
        [ "$(kilobytes)" -lt 8000 ]
        says revoke 1 "done 1 0.*"
        echo >&6
        eventually grep -qx 'ended 1000' "$PLACE/clients"
        not tool open "$C" 2>/dev/null
        [ "$(descriptors)" -lt 20 ]
        leave
}

@test "a revoked grant's number and name can be given again" {
        relay
        serves stream
        granted stream
        says revoke 1 "done 1 0"
        granted stream
        [ "$(tool half "$C")" = half-closed ]
        leave
}

@test "revoking one grant leaves the others" {
        relay
        serves stream
        granted stream
        says "add 2 stream $PLACE/d $S" "done 2 0"
        start "$TOOLS/tool" open "$PLACE/d" >"$PLACE/open" 7>&-
        eventually grep -q open "$PLACE/open"
        says revoke 1 "done 1 0"
        [ "$(tool half "$PLACE/d")" = half-closed ]
        not grep -q ended "$PLACE/open"
        says revoke 2 "done 2 0"
        eventually grep -q ended "$PLACE/open"
        leave
}

@test "once: one connection, and the grant is gone when it ends" {
        relay
        serves stream
        granted stream once
        start "$TOOLS/tool" open "$C" >"$PLACE/open" 7>&-
        first=$started
        eventually grep -q open "$PLACE/open"
        not tool open "$C" 2>/dev/null
        kill "$first"
        eventually heard "spent 1 0"
        says revoke 1 "done 1 -2"
        leave
}

@test "a thousand grants" {
        relay
        serves stream
        says "many 1000 stream $C $S" "done 1999 0"
        [ "$(tool half "$C.0")" = half-closed ]
        [ "$(tool half "$C.999")" = half-closed ]
        [ "$(kilobytes)" -lt 8000 ]
        leave
}

@test "the relay killed: its connections end" {
        relay
        serves stream
        granted stream
        start "$TOOLS/tool" open "$C" >"$PLACE/open" 7>&-
        eventually grep -q open "$PLACE/open"
        kill -KILL "$server"
        eventually grep -q ended "$PLACE/open"
        not tool open "$C" 2>/dev/null
}

@test "it holds nothing that it was started with, and opens no file" {
        relay
        serves stream
        granted stream
        [ "$(tool half "$C")" = half-closed ]
        grep -qx 'NoNewPrivs:.1' "/proc/$server/status"
        is_root || not readlink "/proc/$server/exe" # undumpable
        leave
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# descriptors.bats - what the caller had open, on purpose or by neglect, leads nowhere but to its data.

load common

setup_file() { build give take; }

marked() { find "$PLACE" -name 'ESCAPED*' -not -path '*/layer/*' -not -path '*/inner/*' 2>/dev/null; }

# given KIND PATH: as descriptors 0, 3, 9, 200 and 300.
given()
{
        tool give take
        for fd in 0 3 9 200 300; do
                attack untouched "$OUT" "$TOOLS/give" "$1" "$2" "$fd" "$PADDOCK" run "$TOOLS/take" ESCAPED </dev/null
                [ "$status" != 99 ] || { cat "$PLACE/complaints"; return 1; }
                # To refuse a start is safe as well.
                [ "$status" = 125 ] || held || { echo "as descriptor $fd" >&2; return 1; }
                [ -z "$(marked)" ] || { echo "as descriptor $fd: made outside: $(marked)" >&2; return 1; }
        done
}

@test "descriptors: a directory" {
        mkdir "$OUT/d"
        given dir "$OUT/d"
}

@test "descriptors: an O_PATH descriptor of a directory and of a file" {
        touch "$OUT/f"
        given opath "$OUT"
        given opath "$OUT/f"
}

@test "descriptors: a file opened for reading cannot be opened again for writing" {
        echo data >"$OUT/f"
        given read "$OUT/f"
}

@test "descriptors: a shared file's mount opened for reading, too" {
        echo data >"$OUT/f"
        tool take
        attack untouched "$OUT" inside --share "$PLACE/home" "$TOOLS/take" ESCAPED <"$OUT/f"
        held
}

@test "descriptors: a socket with a directory in flight" {
        given_fd() { attack "$TOOLS/give" socket "$OUT" "$1" "$PADDOCK" run "$TOOLS/take" ESCAPED </dev/null; }
        tool give take
        for fd in 3 9 200; do # on 0, 1 and 2 a socket is the caller's word
                given_fd "$fd"
                held
                [ -z "$(marked)" ]
        done
}

@test "descriptors: a pidfd of a process outside" { given pidfd "$OUT"; }

@test "descriptors: a namespace of the main system" { given space "$OUT"; }

@test "descriptors: an open tree" { given tree "$OUT"; }

@test "descriptors: epoll and inotify" {
        given epoll "$OUT"
        given inotify "$OUT"
}

@test "descriptors: none is left but the standard ones" {
        attack inside sh -c 'ls /proc/self/fd | grep -vxE "[0-3]" || true' 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- </dev/null
        left=$(comm -23 <(sort <<<"$output") <(ls /proc/self/fd | sort) | grep . || true)
        [ -z "$left" ] || { echo "descriptors of paddock inside: $left" >&2; return 1; }
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# terminal.bats - the caller's terminal cannot be typed on, held or read later.

load common

setup_file() { build line; }

@test "terminal: the attack works without paddock" {
        tool line
        [ "$(cat /proc/sys/dev/tty/legacy_tiocsti 2>/dev/null || echo 1)" = 1 ] || skip "this kernel refuses TIOCSTI to all"
        attack "$TOOLS/line" outer session "$TOOLS/line" type
        [[ $output == *ESCAPED* ]]
}

@test "terminal: nothing is typed on the controlling terminal" {
        tool line
        attack "$TOOLS/line" outer session "$PADDOCK" run "$TOOLS/line" type
        [ "$status" = 0 ]
        [[ $output != *ESCAPED* ]]
        attack "$TOOLS/line" outer session "$PADDOCK" run --session "$TOOLS/line" type
        [[ $output != *ESCAPED* ]]
}

@test "terminal: nothing is typed on a terminal that is nobody's" {
        tool line
        attack "$TOOLS/line" outer plain "$PADDOCK" run "$TOOLS/line" type
        [[ $output != *ESCAPED* ]]
}

@test "terminal: no terminal of outside stays open inside" {
        tool line
        for mode in session plain; do
                attack "$TOOLS/line" outer "$mode" "$PADDOCK" run "$TOOLS/line" hold
                [[ $output != *outside* ]] || { printf '%s: %s\n' "$mode" "$output" >&2; return 1; }
                attack "$TOOLS/line" outer "$mode" sh -c 'exec "$PADDOCK" run "$TOOLS/line" hold 3<&0 7>&1 9<>/dev/tty'
                [[ $output != *outside* ]] || { printf '%s: %s\n' "$mode" "$output" >&2; return 1; }
        done
}

@test "terminal: a background process that outlives the program reads nothing" {
        tool line
        attack "$TOOLS/line" outer session "$PADDOCK" run sh -c 'setsid sh -c "trap : HUP TERM; sleep 64" & sleep 0.1'
        not pgrep -u "$(id -u)" -f '^sleep 6[4]$'
}

@test "terminal: the outer terminal's devices have no name inside" {
        tool line
        attack "$TOOLS/line" outer session "$PADDOCK" run sh -c 'ls /dev/pts | grep -c "^[1-9]"'
        [[ $output == 0* ]]
        attack inside sh -c 'ls /dev | grep -E "^(tty[0-9S]|console|vcs|input|dri|mem|kmsg|sd|vd|loop|fuse|kvm|mqueue|net)"'
        [ -z "$output" ]
}

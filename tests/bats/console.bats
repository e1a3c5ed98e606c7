#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# `paddock console`: a terminal that many may look at, from which only text comes out.

load common
load boot

teardown() { end_boots; }

@test "console: a terminal's keys and size reach it; Ctrl-] leaves it, and it goes on" {
        barn
        boot --detach barn
        eventually said barn 'the barn wakes'
        run $PTY 'expect Ctrl-\] leaves' 'send \r' 'expect # ' 'send stty size\r' 'expect 24 80' 'resize 40 100' 'sleep 0.3' \
                'send stty size\r' 'expect 40 100' 'send sleep 100\r' 'sleep 0.3' 'send \x03' 'expect # ' \
                'send echo still $((40+2))\r' 'expect still 42' 'send \x1d' 'expect barn goes on' -- "$PADDOCK" console barn
        expect_status 0
        runs barn
        run $PTY 'expect still 42' 'send \x1d' -- "$PADDOCK" console barn
        expect_status 0
}

@test "console: several watch at once, and each sees what the others type" {
        barn
        boot --detach barn
        eventually said barn 'the barn wakes'
        (sleep 3) | console barn >one &
        first=$!
        (sleep 3) | console barn >two &
        second=$!
        sleep 0.5
        types barn 'echo to all $((1+1))' 1 >/dev/null
        wait "$first" "$second"
        grep -q 'to all 2' one
        grep -q 'to all 2' two
}

@test "console: what was said before one came is shown, as far back as is kept" {
        barn
        boot --detach barn
        eventually said barn 'the barn wakes'
        types barn 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo all said' 4 >/dev/null
        eventually said barn 'all said'
        console barn </dev/null >text
        [ "$(wc -c <text)" -le 65536 ]
        grep -q 'line 19999' text
        not grep -q 'the barn wakes' text
}

@test "console: only text comes out: titles, questions, clipboards and controls of 8 bits do not" {
        barn
        boot --detach barn
        eventually said barn 'the barn wakes'
        # shellcheck disable=SC2016
        types barn "printf 'A\\033]0;title\\007B\\033]52;c;ZXZpbA==\\033\\\\C\\033[6nD\\033[cE\\033P+q\\033\\\\F\\033[31mred\\033[mG\\302\\233HIJ\\033[21tK\\033[?1000hL\\005M\\302\\251\\033c!\\n'" 1 >/dev/null
        console barn </dev/null >text
        line=$(grep -a '^AB' text | tail -1 | tr -d '\r')
        [ "$line" = $'ABCDEF\033[31mred\033[mGHIJKLM\302\251!' ] || { printf '%q\n' "$line"; return 1; }
}

@test "console: of one that is not running, and of none" {
        barn
        run console nothing
        expect_status 125
        boot --detach barn
        eventually said barn 'the barn wakes'
        "$PADDOCK" stop barn
        run console barn
        expect_status 125
        expect_match 'the barn wakes'
        expect_match "'barn' is not running"
}

@test "console: a watcher that does not read keeps nobody waiting" {
        barn
        boot --detach barn
        eventually said barn 'the barn wakes'
        mkfifo stuck
        exec 9<>stuck
        start sh -c 'sleep 30 | exec "$PADDOCK" console barn >stuck'
        types barn 'i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done; echo all said' 5 >/dev/null
        eventually said barn 'all said'
        "$PADDOCK" stop barn
        # It waits for whoever would read, and ends when it is told to.
        watcher=$(pgrep -u "$(id -u)" -P "$started" -f 'console barn')
        kill "$watcher"
        eventually ended "$watcher"
        exec 9>&-
}

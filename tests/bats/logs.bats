#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# logs.bats - what the programs of `run:` write is kept, up to a bound.

load common

# web LINE... - the environment with these lines under `run:`, started.
web()
{
        { echo 'name: web'; echo run:; printf '  - %s\n' "$@"; } >web.yaml
        "$PADDOCK" create -f web.yaml
        "$PADDOCK" start web
}

logged() { "$PADDOCK" logs web | grep -qE "$1"; }

@test "logs: lines with the time and the name of the program, from both streams" {
        web '{name: talk, command: "echo to stdout; echo to stderr >&2; printf unfinished"}'
        "$PADDOCK" wait web
        eventually logged unfinished
        run "$PADDOCK" logs web
        expect_match '^20[0-9-]+T[0-9:]+Z talk: to stdout'
        expect_match 'talk: to stderr'
        expect_match 'talk: unfinished'
        expect_match 'talk: \[ended with 0\]'
}

@test "logs: they outlive the environment and its next start" {
        web '{name: talk, command: "echo first words"}'
        "$PADDOCK" wait web
        "$PADDOCK" stop web
        logged 'first words'
        "$PADDOCK" start web
        twice() { [ "$("$PADDOCK" logs web | grep -c 'first words')" = 2 ]; }
        eventually twice
}

@test "logs: the last lines only" {
        web '{name: count, command: "seq 1 1000"}'
        "$PADDOCK" wait web
        "$PADDOCK" stop web
        run "$PADDOCK" logs -n 3 web
        [ "$(wc -l <<<"$output")" = 3 ]
        expect_match 'count: 999'
        run "$PADDOCK" logs --lines=0 web
        expect_output ''
        [ "$("$PADDOCK" logs -n 100000 web | wc -l)" -ge 1000 ]
}

@test "logs: they are followed until the environment stops, across a rotation" {
        web '{name: slow, command: "for i in 1 2 3; do echo line $i; sleep 0.3; done; for i in 0 1 2; do seq -f %0100g $((i * 20000 + 1)) $((i * 20000 + 20000)); sleep 2; done; echo last; sleep 100"}'
        "$PADDOCK" logs -f web >followed 3>&- 4>&- &
        follower=$!
        children+=("$follower")
        seen() { grep -q 'slow: last' followed; }
        patience=30 eventually seen
        [ -e "$XDG_STATE_HOME/paddock/env/web/log.1" ]
        grep -q 'line 1' followed
        [ "$(grep -c 'slow: 0' followed)" = 60000 ]
        "$PADDOCK" stop --now web
        wait "$follower"
}

@test "logs: a flood is bounded, and long lines are cut" {
        web '{name: flood, command: "yes abcdefghijklmnopqrstuvwxyz | head -c 30000000"}' \
                "{name: long, command: \"head -c 20000 /dev/zero | tr '\\\\\\\\0' x; sleep 1000\"}"
        full() { [ -e "$XDG_STATE_HOME/paddock/env/web/log.1" ]; }
        eventually full
        sleep 1
        total=$(cat "$XDG_STATE_HOME"/paddock/env/web/log* | wc -c)
        [ "$total" -le 4194304 ]
        [ "$(cat "$XDG_STATE_HOME"/paddock/env/web/log* | awk '{ if (length > longest) longest = length } END { print longest }')" -le 4300 ]
}

@test "logs: what a program writes cannot speak to the terminal" {
        web "{name: evil, command: \"printf 'a\\\\033[31mred\\\\n'\"}"
        "$PADDOCK" wait web
        eventually logged evil
        run python3 -c '
import os, pty, sys
out = b""
def read(fd):
    global out
    data = os.read(fd, 4096); out += data; return data
pty.spawn([os.environ["PADDOCK"], "logs", "web"], read)
sys.exit(1 if b"\x1b" in out or b"red" not in out else 0)'
        expect_status 0
        # A pipe gets the bytes.
        "$PADDOCK" logs web | grep -q $'a\e\\[31mred'
}

@test "logs: nothing yet, and words that it does not take" {
        "$PADDOCK" create idle
        run "$PADDOCK" logs idle
        expect_status 0
        expect_output ''
        fails 'which environment' logs
        fails 'takes a number' logs -n many idle
        fails 'no environment' logs nothing
}

@test "logs: a program that leaves a daemon behind is read to its end" {
        web '{name: fork, command: "(sleep 0.7; echo from the daemon) & echo parent"}'
        "$PADDOCK" wait web
        eventually logged 'fork: from the daemon'
}

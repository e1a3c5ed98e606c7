#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ps.bats - the processes of an environment, with both of their numbers.

load common

@test "ps: processes have a number outside and one inside" {
        printf 'name: web\nrun:\n  - [sleep, "1234"]\n' >web.yaml
        "$PADDOCK" create -f web.yaml
        run "$PADDOCK" ps web
        expect_status 0
        expect_output ''
        "$PADDOCK" start web
        sleep 0.2
        run "$PADDOCK" ps web
        expect_status 0
        expect_match 'OUTSIDE +INSIDE +USER'
        line=$(grep 'sleep 1234' <<<"$output")
        read -r outer inner user _ <<<"$line"
        grep -q "^NSpid:.*$outer.*$inner\$" "/proc/$outer/status"
        [ "$user" = "$(id -un)" ]
        [ "$("$PADDOCK" enter web sh -c "tr '\\0' ' ' </proc/$inner/cmdline")" = 'sleep 1234 ' ]
}

@test "ps: as JSON, with time and memory" {
        printf 'name: web\nrun:\n  - while :; do :; done\n' >web.yaml
        "$PADDOCK" create -f web.yaml
        "$PADDOCK" start web
        sleep 1
        "$PADDOCK" ps --json web >ps.json
        run python3 - <<'END'
import json
processes = json.load(open("ps.json"))
assert processes[0]["inner"] == 1, processes
busy = [p for p in processes if "while" in p["command"]]
assert len(busy) == 1 and busy[0]["cpu"] > 0.05 and busy[0]["memory"] > 100000 and busy[0]["pid"] > 1, busy
END
        expect_status 0
}

@test "ps: those of paddock run, and of runs that joined" {
        start inside -n web sleep 1001
        eventually is_in_state web running
        start inside -n web sleep 1002
        both() { [ "$("$PADDOCK" ps web | grep -cE '  sleep 100[12]$')" = 2 ]; }
        eventually both
}

@test "ps: a name that a program gives itself cannot speak to the terminal" {
        "$PADDOCK" create web
        "$PADDOCK" start web
        start "$PADDOCK" enter web bash -c $'exec -a "evil\e[31m\nline" sleep 1000'
        shown() { "$PADDOCK" ps web | grep -F 'evil\x1b[31m\nline 1000'; }
        eventually shown
}

@test "ps: words that it does not take" {
        "$PADDOCK" create web
        fails 'which environment' ps
        fails 'one environment at a time' ps web web
        fails 'no environment' ps wob
}

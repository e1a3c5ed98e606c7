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

# --- top -------------------------------------------------------------------------------------------------------------

@test "top: the environments that run, and their busiest processes first" {
        printf 'name: web\nrun:\n  - [sleep, "1234"]\n  - while :; do :; done\n' >web.yaml
        "$PADDOCK" create -f web.yaml
        "$PADDOCK" create idle
        "$PADDOCK" create stopped
        "$PADDOCK" start web
        "$PADDOCK" start idle
        run "$PADDOCK" top
        expect_status 0
        expect_match '2 environments, 4 processes'
        expect_match 'web +started +[0-9.]+ +[0-9.]+ +3'
        not grep -q stopped <<<"$output"
        [[ $(grep -n 'while :' <<<"$output" | head -1) == 7:* ]]
        run "$PADDOCK" top idle
        not grep -q sleep <<<"$output"
        fails 'no environment' top wob
        fails 'takes seconds' top --delay 0
}

@test "top: on a terminal of 80x24 it stays in it, clears up, and q ends it" {
        { echo 'name: web'; echo run:; for i in $(seq 40); do echo "  - [sleep, \"12$i\", \"$(printf 'x%.0s' {1..200})\"]"; done; } >web.yaml
        "$PADDOCK" create -f web.yaml
        "$PADDOCK" start web
        cat >drive.py <<'END'
import fcntl, os, pty, struct, sys, termios, time
pid, master = pty.fork()
if pid == 0:
    os.execv(os.environ["PADDOCK"], ["paddock", "top", "-d", "0.2"])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
out = b""
def read():
    global out
    try:
        out += os.read(master, 65536)
    except OSError:
        pass
end = time.time() + 1.5
while time.time() < end:
    read()
os.write(master, b"q")
_, status = os.waitpid(pid, 0)
read()
assert status == 0, status
assert out.startswith(b"\x1b[?1049h") and out.rstrip().endswith(b"\x1b[?1049l"), out[-50:]
pictures = out.split(b"\x1b[H")[1:]
assert len(pictures) >= 3, len(pictures)
lines = pictures[-2].split(b"\x1b[J")[0].split(b"\r\n")
assert len(lines) <= 25, len(lines)
for line in lines:
    plain = line.replace(b"\x1b[K", b"").replace(b"\x1b[1m", b"").replace(b"\x1b[0m", b"").strip(b"\r\n")
    assert len(plain) <= 80 and b"\x1b" not in plain, plain
END
        run timeout 30 python3 drive.py
        expect_status 0
}

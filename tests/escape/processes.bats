#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# processes.bats - the environment's init, the paddock outside and every other process cannot be reached from inside, and
# nothing inside keeps the environment from ending.

load common

setup_file() { build init flood; }

# ends_within SECONDS PID - the process PID, a child of ours, ends in time; $status is how.
ends_within()
{
        local end=$((SECONDS + $1))

        until ended "$2"; do
                [ "$SECONDS" -lt "$end" ] || { echo "process $2 does not end" >&2; return 1; }
                sleep 0.05
        done
        status=0
        wait "$2" || status=$?
}

# Ends an environment whose init may be stuck.
finish()
{
        local init

        init=$(init_of "$1" 2>/dev/null) || return 0
        kill -KILL "$init" 2>/dev/null || true
}

@test "processes: init gives nothing away" {
        tool init
        attack inside "$TOOLS/init"
        held
        attack inside --session "$TOOLS/init"
        held
        attack inside --root empty --mirror "$TOOLS" "$TOOLS/init"
        held
}

@test "processes: init survives every signal from inside" {
        tool init
        attack inside sh -c '"$TOOLS/init" kill; sleep 0.2; echo alive' # kill -1 ends this shell as well
        [ "$status" = 137 ] || [ "$status" = 0 ]
        attack inside --session sh -c 'for s in 1 2 3 6 9 11 15 19 20; do kill -$s 1; done; sleep 0.1; echo alive'
        [ "$output" = alive ]
        no_temporary
}

@test "processes: kill -9 -1 inside ends nothing outside" {
        sleep 60 3>&- 4>&- &
        outer=$!
        children+=("$outer")
        start inside sh -c 'sleep 60'
        other=$started
        eventually init_of "$other"
        attack inside sh -c 'kill -9 -1; sleep 0.1'
        not ended "$outer"
        not ended "$other"
        not ended "$(init_of "$other")"
        no_signal=$(inside --session sh -c "kill -9 $outer $other $$ 2>/dev/null && echo killed" || true)
        [ -z "$no_signal" ]
        not ended "$outer"
}

@test "processes: no process of outside is seen" {
        sleep 61 3>&- 4>&- &
        children+=("$!")
        attack inside sh -c 'cat /proc/[0-9]*/cmdline | tr "\0" " " | grep -c "sleep 6[1]" | grep -v "^0$"'
        [ -z "$output" ]
        attack inside sh -c 'ls -d /proc/[0-9]*' # init, sh, ls
        [ "$(wc -l <<<"$output")" -le 3 ]
}

@test "processes: background processes end with the program" {
        attack inside sh -c 'for i in 1 2 3; do setsid sh -c "trap : TERM HUP INT; while :; do sleep 62; done" & done
                >/dev/null 2>&1; sleep 0.1'
        [ "$status" = 0 ]
        not pgrep -u "$(id -u)" -f '^sleep 6[2]$'
        no_temporary
}

@test "processes: a fork bomb does not keep the environment from ending" {
        tool flood
        start inside "$TOOLS/flood" bomb 150
        ends_within 20 "$started"
        [ "$status" = 0 ]
        no_temporary
}

@test "processes: orphans that end without pause do not keep init from seeing the end" {
        tool flood
        start inside "$TOOLS/flood" orphans
        ends_within 15 "$started" || { finish "$started"; return 1; }
        [ "$status" = 0 ]
        no_temporary
}

@test "processes: orphans that stop and continue without pause do not keep init from seeing the end" {
        tool flood
        start inside "$TOOLS/flood" stops
        ends_within 15 "$started" || { finish "$started"; return 1; }
        [ "$status" = 0 ]
        no_temporary
}

@test "processes: under such a flood the death of paddock ends everything" {
        tool flood
        start inside sh -c '"$TOOLS/flood" stops; exec sleep 60'
        eventually init_of "$started"
        init=$(init_of "$started")
        sleep 1
        kill -KILL "$started"
        for attempt in $(seq 150); do
                if ended "$init"; then return 0; fi
                sleep 0.1
        done
        kill -KILL "$init"
        echo "init lives on" >&2
        return 1
}

@test "processes: writers do not keep the layer from being removed" {
        tool flood
        start inside "$TOOLS/flood" write "$HOME/f"
        ends_within 20 "$started"
        [ "$status" = 0 ]
        no_temporary
        [ -z "$(ls "$HOME")" ]
        start inside -n x "$TOOLS/flood" write "$HOME/f"
        ends_within 20 "$started"
        inside -n x true
}

@test "processes: killing paddock while it is flooded leaves nothing" {
        tool flood
        start inside sh -c '"$TOOLS/flood" write ~/f; sleep 60'
        eventually init_of "$started"
        init=$(init_of "$started")
        sleep 0.5
        kill -KILL "$started"
        eventually ended "$init"
        # Root's init may not remove its directory itself, only what is in it; the next start does the rest.
        eventually eval '[ -z "$(find "$XDG_STATE_HOME/paddock/tmp" -name layer)" ]'
}

# A program that stops itself stops the paddock that stands for it, and no other process.
@test "processes: a program that stops itself does not stop the caller's other processes" {
        for signal in STOP TSTP TTIN TTOU; do
                rm -f pids
                # A group of its own with a living parent, in which paddock has a neighbour.
                setsid -w bash -c '
                        set -m
                        bash -c "sleep 63 & echo \$! >pids; exec \"\$PADDOCK\" run sh -c \"kill -'"$signal"' \\\$\\\$; sleep 1\"" &
                        sleep 0.7
                        read -r neighbour <pids
                        sed -n "s/^State:[[:space:]]*//p" /proc/$neighbour/status >state
                        kill -KILL -- -$! $neighbour
                ' 3>&- 4>&- </dev/null >/dev/null 2>&1
                [[ $(cat state) == S* ]] || { echo "SIG$signal: the neighbour is in state $(cat state)" >&2; return 1; }
        done
}

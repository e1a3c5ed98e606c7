#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# start.bats - the life of an environment that was started: start, stop, restart, wait, the list, and every way to die.

load common

# describe NAME LINE... - makes the environment with these lines under `run:`.
describe()
{
        local name=$1

        shift
        { echo "name: $name"; [ $# = 0 ] || { echo run:; printf '  - %s\n' "$@"; }; } >"$PLACE/$name.yaml"
        "$PADDOCK" create -f "$PLACE/$name.yaml"
}

@test "start: it lives in the background, is listed so, and ends with stop" {
        "$PADDOCK" create web
        [ "$(state_of web)" = stopped ]
        run "$PADDOCK" start web
        expect_status 0
        expect_output ''
        [ "$(state_of web)" = started ]
        [ "$("$PADDOCK" list --json | tr -d ' \n')" = '[{"name":"web","state":"started"}]' ]
        warden=$(warden_of web) first=$(first_of web)
        run "$PADDOCK" enter web sh -c 'echo here: $PADDOCK_NAME'
        expect_output 'here: web'
        run "$PADDOCK" stop web
        expect_status 0
        expect_output ''
        [ "$(state_of web)" = stopped ]
        nothing_left "$warden" "$first"
        [ ! -e "$XDG_STATE_HOME/paddock/env/web/control" ]
        [ -z "$(ls "$XDG_STATE_HOME/paddock/env/web/runs")" ]
}

@test "start: once is enough, and stopping what is stopped does nothing" {
        "$PADDOCK" create web
        "$PADDOCK" start web
        first=$(first_of web)
        run "$PADDOCK" start web
        expect_status 0
        expect_match "'web' is started already"
        [ "$(first_of web)" = "$first" ]
        "$PADDOCK" stop web
        run "$PADDOCK" stop web
        expect_status 0
        expect_match "'web' is not running"
}

@test "start: ten at the same time start one" {
        "$PADDOCK" create web
        pids=()
        for i in 1 2 3 4 5 6 7 8 9 10; do
                "$PADDOCK" start web 3>&- 4>&- 2>/dev/null &
                pids+=($!)
        done
        for pid in "${pids[@]}"; do wait "$pid"; done
        [ "$(ls "$XDG_STATE_HOME/paddock/env/web/runs" | wc -l)" = 1 ]
        run "$PADDOCK" enter web echo one
        expect_output one
}

@test "start: what there is not, and words that it does not take" {
        "$PADDOCK" create website
        fails "no environment 'web'.*did you mean 'website'" start web
        fails 'which environment' start
        fails 'one environment at a time' start website website
        fails "cannot name an environment" start 'a/b'
        fails 'which environment' stop
        fails 'it takes seconds' stop --grace soon website
        fails "no environment" stop nothing
        fails "no environment" wait nothing
        run "$PADDOCK" start --help
        expect_status 0
        [ "$(state_of website)" = stopped ]
}

@test "start: an environment that cannot be made says why, and leaves nothing" {
        printf 'name: bad\nroot: %s/nowhere\n' "$PLACE" >bad.yaml
        "$PADDOCK" create -f bad.yaml
        run "$PADDOCK" start bad
        expect_status 125
        expect_match 'nowhere'
        [ "$(state_of bad)" = stopped ]
        [ ! -e "$XDG_STATE_HOME/paddock/env/bad/control" ]
}

@test "start: nothing of whoever started it is held: a pipe, a directory, the terminal" {
        "$PADDOCK" create web
        mkdir away
        # The pipe ends when `start` does, not with the environment.
        run timeout 20 sh -c 'cd away && { "$PADDOCK" start web; echo started; } 2>&1 | cat'
        expect_output started
        rmdir away
        for pid in $(warden_of web) $(first_of web); do
                [ "$(readlink "/proc/$pid/cwd")" = / ] || is_root || [ "$(readlink "/proc/$pid/cwd")" = "" ]
                # A pipe of its own has both ends there.
                [ -z "$(ls -l "/proc/$pid/fd" | grep -oE 'pipe:.*|/away.*' | sort | uniq -u)" ]
                [ "$(awk '{ print $7 }' "/proc/$pid/stat")" = 0 ] # no terminal
        done
}

@test "start: what was written stays for the next start, and for run" {
        "$PADDOCK" create web
        "$PADDOCK" start web
        "$PADDOCK" enter web sh -c 'echo kept >"$HOME/note"'
        [ ! -e note ]
        "$PADDOCK" restart web
        run "$PADDOCK" enter web cat note
        expect_output kept
        run inside -n web cat note
        expect_output kept
        "$PADDOCK" stop web
        run inside -n web cat note
        expect_output kept
        run "$PADDOCK" diff web
        expect_match note
}

@test "start: a running run keeps it from being started, and a started one is entered by run" {
        start inside -n web sleep 100
        eventually is_in_state web running
        fails "'web' is run by .paddock run." start web
        run "$PADDOCK" enter web sh -c 'echo joined'
        expect_output joined
        fails "run by .paddock run." stop web
        "$PADDOCK" stop --now web
        eventually is_in_state web stopped
        "$PADDOCK" start web
        run inside -n web sh -c 'readlink /proc/self/ns/mnt'
        floor=$output
        run "$PADDOCK" enter web readlink /proc/self/ns/mnt
        expect_output "$floor"
        fails "is running" run -n web --hide /etc/hostname true
        fails "is running" rm web
}

@test "stop: programs are asked, then killed" {
        describe web "trap 'echo asked >$PLACE/home/asked; exit 0' TERM; while :; do sleep 0.05; done" \
                "trap '' TERM; while :; do sleep 0.05; done"
        "$PADDOCK" start web
        sleep 0.3
        before=$(date +%s%N)
        "$PADDOCK" stop --grace 1 web
        took=$((($(date +%s%N) - before) / 1000000))
        [ "$took" -ge 900 ] && [ "$took" -lt 4000 ]
        run inside -n web cat asked
        expect_output asked
}

@test "stop: without grace it is at once, also against what multiplies and floods the log" {
        describe web 'while :; do (while :; do :; done) & sleep 0.02; done' 'yes flood' \
                "trap '' TERM HUP INT; while :; do yes \$\$ & sleep 0.05; done"
        for attempt in 1 2 3; do # another program of this machine may have the processors just then
                "$PADDOCK" start web
                sleep 1
                run timeout 10 "$PADDOCK" list
                expect_status 0
                before=$(date +%s%N)
                "$PADDOCK" stop --now web
                took=$((($(date +%s%N) - before) / 1000000))
                [ "$(state_of web)" = stopped ]
                [ "$took" -ge 1000 ] || break
        done
        [ "$took" -lt "$((1000 * ${PADDOCK_SLOW:-1}))" ] || { echo "took $took ms" >&2; return 1; }
        [ "$(stat -c %s "$XDG_STATE_HOME"/paddock/env/web/log "$XDG_STATE_HOME"/paddock/env/web/log.1 2>/dev/null |
                awk '{ sum += $1 } END { print sum }')" -le 4194304 ]
}

@test "stop: several at a time, and an entered shell ends as with a hung up terminal" {
        "$PADDOCK" create one
        "$PADDOCK" create two
        "$PADDOCK" start one
        "$PADDOCK" start two
        start "$PADDOCK" enter one sleep 100
        sleep 0.2
        run "$PADDOCK" stop --grace 5 one two
        expect_status 0
        ends_with 143 || ends_with 129
        [ "$(state_of one) $(state_of two)" = 'stopped stopped' ]
}

@test "stop: a warden that is told to end (SIGTERM) stops its environment, as when the machine goes down" {
        describe web "trap 'echo asked >$PLACE/home/asked; exit 0' TERM; while :; do sleep 0.05; done"
        "$PADDOCK" start web
        sleep 0.3
        kill -TERM "$(warden_of web)"
        eventually is_in_state web stopped
        eventually test ! -e "$XDG_STATE_HOME/paddock/env/web/control"
        run inside -n web cat asked
        expect_output asked
}

@test "death: the warden is killed, and everything ends; the next start is clean" {
        describe web 'sleep 1000'
        "$PADDOCK" start web
        start "$PADDOCK" enter web sleep 1000
        sleep 0.3
        warden=$(warden_of web) first=$(first_of web)
        inner=$(cat "/proc/$first/task/$first/children")
        kill -KILL "$warden"
        for pid in $warden $first $inner; do eventually ended "$pid"; done
        eventually is_in_state web stopped
        ends_with 137
        "$PADDOCK" start web
        run "$PADDOCK" enter web echo again
        expect_output again
}

@test "death: init is killed, and everything ends; the next start is clean" {
        describe web 'sleep 1000'
        "$PADDOCK" start web
        warden=$(warden_of web) first=$(first_of web)
        kill -KILL "$first"
        eventually ended "$warden"
        eventually is_in_state web stopped
        nothing_left "$warden" "$first"
        eventually test ! -e "$XDG_STATE_HOME/paddock/env/web/control"
        "$PADDOCK" start web
        [ "$(state_of web)" = started ]
}

@test "death: both are killed at once, and what is left behind is cleaned" {
        "$PADDOCK" create web
        "$PADDOCK" start web
        kill -KILL "$(warden_of web)" "$(first_of web)"
        eventually is_in_state web stopped
        [ -S "$XDG_STATE_HOME/paddock/env/web/control" ] # stale
        fails 'is not started' enter web true
        "$PADDOCK" start web
        run "$PADDOCK" enter web echo again
        expect_output again
}

@test "run: programs are started, and started again as their policy says" {
        cat >web.yaml <<'END'
name: web
run:
  - {name: once, command: "echo once >>$HOME/runs; exit 1"}
  - {name: failing, restart: on-failure, command: "echo failing >>$HOME/runs; test $(grep -c failing $HOME/runs) -ge 3"}
  - {name: always, restart: always, command: [sh, -c, 'echo always >>$HOME/runs']}
END
        "$PADDOCK" create -f web.yaml
        "$PADDOCK" start web
        counted() { "$PADDOCK" enter web sh -c '[ $(grep -c always runs) -ge 4 ] && [ $(grep -c failing runs) = 3 ]'; }
        eventually counted
        run "$PADDOCK" enter web grep -c once runs
        expect_output 1
        run "$PADDOCK" enter web grep -c failing runs
        expect_output 3
        # A plain run starts none of them.
        "$PADDOCK" stop web
        run inside -n web sh -c 'grep -c once runs'
        expect_output 1
}

@test "wait: until the programs have ended for good, or the environment has" {
        describe job 'sleep 0.5; exit 7' 'sleep 0.1'
        "$PADDOCK" start job
        run "$PADDOCK" wait job
        expect_status 7
        run timeout 10 "$PADDOCK" wait job
        expect_status 7
        start "$PADDOCK" wait --stopped job
        sleep 0.2
        "$PADDOCK" stop job
        ends_with 7
        run timeout 10 "$PADDOCK" wait job
        expect_status 0
        "$PADDOCK" create idle
        "$PADDOCK" start idle
        run timeout 10 "$PADDOCK" wait idle
        expect_status 0
}

@test "wait: a signal that ended a program counts as in a shell, and stop ends the wait" {
        describe job 'kill -9 $$'
        "$PADDOCK" start job
        run "$PADDOCK" wait job
        expect_status 137
        "$PADDOCK" stop job
        describe long 'sleep 1000'
        "$PADDOCK" start long
        start "$PADDOCK" wait long
        sleep 0.2
        "$PADDOCK" stop long
        ends_with 143
}

@test "restart: the description as it is now, and another first process" {
        "$PADDOCK" create web
        "$PADDOCK" start web
        first=$(first_of web)
        "$PADDOCK" restart --now web
        [ "$(first_of web)" != "$first" ]
        [ "$(state_of web)" = started ]
        "$PADDOCK" stop web
        "$PADDOCK" restart web
        [ "$(state_of web)" = started ]
}

@test "start: twenty environments at once, started, entered, listed and stopped" {
        names=()
        pids=()
        for i in $(seq 20); do
                "$PADDOCK" create "e$i"
                names+=("e$i")
        done
        for name in "${names[@]}"; do
                "$PADDOCK" start "$name" 3>&- 4>&- &
                pids+=($!)
        done
        for pid in "${pids[@]}"; do wait "$pid"; done
        [ "$("$PADDOCK" list | grep -c started)" = 20 ]
        for name in "${names[@]}"; do
                run "$PADDOCK" enter "$name" sh -c 'echo $PADDOCK_NAME'
                expect_output "$name"
        done
        "$PADDOCK" stop "${names[@]}"
        [ "$("$PADDOCK" list | grep -c stopped)" = 20 ]
}

@test "start: warden and init of an idle environment are small" {
        "$PADDOCK" create web
        "$PADDOCK" start web
        sleep 1
        small()
        {
                sum=0
                for pid in $(warden_of web) $(first_of web); do
                        sum=$((sum + $(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup")))
                done
                [ "$sum" -le 1024 ]
        }
        small || { echo "$sum KiB" >&2; return 1; }
}

@test "start: with a network of its own all programs share it" {
        printf 'name: web\nnetwork: none\nrun:\n  - [sleep, "1000"]\n' >web.yaml
        "$PADDOCK" create -f web.yaml
        "$PADDOCK" start web
        one=$("$PADDOCK" enter web readlink /proc/self/ns/net)
        two=$("$PADDOCK" enter web readlink /proc/self/ns/net)
        [ "$one" = "$two" ]
        [ "$one" != "$(readlink /proc/self/ns/net)" ]
        run "$PADDOCK" enter web cat /sys/class/net/lo/operstate
        expect_match 'unknown|up'
}

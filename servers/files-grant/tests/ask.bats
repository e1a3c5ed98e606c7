#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Placeholders that ask at the first access.

load common

# question N - waits for the Nth question to placeholder 1; $serial is its number
question()
{
        eventually asked "$1"
        serial=$(grep '^question' "$PLACE/events" | sed -n "$1p" | cut -d' ' -f3)
}
asked() { [ "$(grep -c '^question' "$PLACE/events")" -ge "$1" ]; }

@test "looking from outside asks nothing" {
        grants
        add 1 ask,uid=0,gid=0,mode=700 none
        add 2 ask,file,mode=600 none
        within ls -l /mnt
        within stat /mnt/1 /mnt/2
        [ "$(within stat -c '%F %a' /mnt/1 /mnt/2)" = $'directory 700\nregular empty file 600' ]
        within test -d /mnt/1
        sleep 0.2
        not event question
        leave
}

@test "yes: whoever waited goes on in the grant, in every way of asking" {
        mkdir "$OUT/d"
        echo text >"$OUT/d/file"
        touch "$OUT/goes" "$OUT/comes"
        for way in "cat /mnt/1/d/file" "ls /mnt/1" "cd /mnt/1" "stat /mnt/1/d" "test -r /mnt/1" "mkdir /mnt/1/d/new" \
                "cp /mnt/1/d/file /mnt/1/copy" "touch /mnt/1/made" "rm /mnt/1/goes" "mv /mnt/1/comes /mnt/1/went"; do
                grants
                add 1 ask none
                start within sh -c "$way" >"$PLACE/got" 2>&1
                question 1
                sleep 0.05
                [ ! -s "$PLACE/got" ]
                say place 1001 rw "$OUT"
                [ "$answer" = ok ]
                say answer 1 "$serial" yes
                ends_with 0 || { echo "$way: $(cat "$PLACE/got")" >&2; return 1; }
                revoke 1
                [ "$(within cat /mnt/1/d/file)" = text ]
                leave
        done
        [ -d "$OUT/d/new" ] && [ -f "$OUT/copy" ] && [ -f "$OUT/made" ] && [ ! -e "$OUT/goes" ] && [ -f "$OUT/went" ]
}

@test "yes, for a single file" {
        echo text >"$OUT/file"
        grants
        add 1 ask,file none
        start within cat /mnt/1
        started_one=$started
        question 1
        say place 1001 rw,file "$OUT/file"
        [ "$answer" = ok ]
        say answer 1 "$serial" yes
        wait "$started_one"
        revoke 1
        leave
}

@test "no: permission denied, for this one; the next is asked anew" {
        grants
        add 1 ask none
        start within sh -c 'cat /mnt/1/file' >"$PLACE/got" 2>&1
        question 1
        grep -q "^question 1 $serial pid=[1-9].* name=file" "$PLACE/events"
        say answer 1 "$serial" no
        ends_with 1
        grep -q 'Permission denied' "$PLACE/got"
        start within ls /mnt/1
        question 2
        say answer 1 "$serial" no
        ends_with 2
        leave
}

@test "killing who asks cancels the question, TERM and KILL" {
        grants
        add 1 ask none
        n=0
        for signal in TERM KILL INT; do
                for what in "cat /mnt/1/file" "ls /mnt/1"; do
                        # shellcheck disable=SC2086
                        start env --default-signal=INT nsenter --target "$inner" --user --mount --preserve-credentials -- $what
                        n=$((n + 1))
                        question $n
                        kill -$signal "$started"
                        eventually ended "$started"
                        eventually event "^withdrawn 1 $serial"
                done
        done
        # An answer that comes too late does no harm.
        say answer 1 "$serial" no
        start within ls /mnt/1
        question $((n + 1))
        say answer 1 "$serial" no
        ends_with 2
        leave
}

@test "many programs: a question for each, then one for all the others; yes answers them all" {
        for i in $(seq 40); do echo text >"$OUT/file$i"; done
        grants
        add 1 ask none
        waiting=()
        for i in $(seq 40); do # of one name only one is looked up at a time
                start within cat "/mnt/1/file$i" >"$PLACE/got-$i"
                waiting+=("$started")
        done
        eventually asked 17
        sleep 0.5
        [ "$(grep -c '^question' "$PLACE/events")" = 17 ]
        [ "$(grep -c 'pid=0 ' "$PLACE/events")" = 1 ]
        question 3
        say place 1001 rw "$OUT"
        say answer 1 "$serial" yes
        for pid in "${waiting[@]}"; do wait "$pid"; done
        [ "$(cat "$PLACE"/got-* | wc -l)" = 40 ]
        [ "$(grep -c '^withdrawn' "$PLACE/events")" = 16 ]
        leave
}

@test "many requests of one program are one question" {
        grants
        add 1 ask none
        start within python3 -c "
import threading, os
ts = [threading.Thread(target=lambda: os.path.exists('/mnt/1/file')) for _ in range(4)]
[t.start() for t in ts]
try: os.listdir('/mnt/1')
except PermissionError: pass
try: os.listdir('/mnt/1')
except PermissionError: pass
[t.join() for t in ts]"
        eventually asked 2
        sleep 0.3
        total=0
        while ! ended "$started"; do
                total=$((total + 1))
                question $total 2>/dev/null || break
                say answer 1 "$serial" no
                sleep 0.1
        done
        wait "$started"
        leave
}

@test "a placeholder that is taken away refuses who waits" {
        grants
        add 1 ask none
        start within ls /mnt/1
        question 1
        revoke 1
        wait "$started" && return 1
        leave
}

@test "it takes no thread, and next to no memory" {
        grants
        for i in $(seq 100); do add "$i" ask none; done
        start within ls /mnt/50
        eventually event question
        [ "$(threads)" = 1 ]
        [ "$(kilobytes)" -lt 8000 ]
        leave
}

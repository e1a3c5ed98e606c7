#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Hostile programs inside, dying file systems outside, nonsense from the warden, and very many of everything.

load common

# hanging - a source that answers until $FLAG exists, as grant 1; grant 2 is a sound one
hanging()
{
        world
        mkdir "$PLACE/hung" "$PLACE/sound"
        echo text >"$PLACE/sound/file"
        FLAG=$PLACE/flag
        rm -f "$GO"
        start "${outside[@]}" "$TOOLS/tool" hang "$PLACE/hung" "$FLAG" >"$PLACE/mounted"
        eventually said mounted "$PLACE/mounted"
        grants
        add 1 rw "$PLACE/hung"
        add 2 rw "$PLACE/sound"
}

# A thread that waits in a file system for which nobody answers any more cannot be killed, here as in any other program.
leave_hanging()
{
        kill -KILL "$(pgrep -f "tool hang $PLACE/hung")"
        leave
}

@test "a source that hangs holds up nobody else, and its revoke returns" {
        hanging
        [ "$(within head -c 5 /mnt/1/file)" = xxxxx ]
        start within_tool dirty /mnt/1/file-mapped 100000 >"$PLACE/dirty"
        eventually said dirty "$PLACE/dirty"
        touch "$FLAG"
        for i in 1 2 3 4 5; do start within cat "/mnt/1/file$i"; done
        sleep 0.3
        SECONDS=0
        for i in $(seq 10); do [ "$(within timeout 5 cat /mnt/2/file)" = text ]; done
        [ "$SECONDS" -lt 4 ]
        revoke 1
        echo "# revoke of a source that hangs: $us us, $stuck stuck, $lost bytes lost" >&3
        [ "$us" -lt 4000000 ]
        [ "$stuck" -ge 1 ]
        [ "$lost" -ge 4096 ]
        # Those who waited are free.
        ends_with 1
        not within timeout 5 cat /mnt/1/file
        [ "$(within cat /mnt/2/file)" = text ]
        revoke 2
        leave_hanging
}

@test "a program that waits for a source that hangs can be killed; many of them too" {
        hanging
        within head -c 5 /mnt/1/file >/dev/null
        touch "$FLAG"
        start nsenter --target "$inner" --user --mount --preserve-credentials -- cat /mnt/1/file
        sleep 0.3
        kill -KILL "$started"
        patience=5 ends_with 137
        waiting=()
        for i in $(seq 40); do
                start nsenter --target "$inner" --user --mount --preserve-credentials -- cat "/mnt/1/file-$i" 2>/dev/null
                waiting+=("$started")
        done
        sleep 2
        [ "$(threads)" -lt 40 ]
        kill -KILL "${waiting[@]}" 2>/dev/null || true
        for pid in "${waiting[@]}"; do patience=10 eventually ended "$pid"; done
        [ "$(within cat /mnt/2/file)" = text ]
        revoke 1
        [ "$us" -lt 4000000 ]
        leave_hanging
}

@test "the end of the control socket ends it while a source hangs" {
        hanging
        touch "$FLAG"
        start within cat /mnt/1/file
        sleep 0.3
        kill -KILL "$driver"
        not within timeout 5 cat /mnt/2/file
        wait "$started" || true
        eventually ended "$server"
}

@test "ten thousand requests in flight keep nobody from taking the grant back, and others from their work" {
        head -c 1048576 /dev/zero >"$OUT/file"
        mkdir "$PLACE/other"
        echo text >"$PLACE/other/file"
        grants
        add 1 rw "$OUT"
        add 2 rw "$PLACE/other"
        start within_tool flood /mnt/1/file 10000 100 >"$PLACE/said"
        eventually said flooded "$PLACE/said"
        [ "$(within timeout 10 cat /mnt/2/file)" = text ]
        revoke 1
        echo "# revoke in a flood: $us us" >&3
        [ "$us" -lt 1000000 ]
        kill -KILL "$started" || true
        leave
}

@test "a thousand grants in one process: little memory, no threads when idle, each of them works" {
        echo text >"$OUT/file"
        grants
        say many 1000 "$OUT"
        [[ $answer == ok* ]]
        echo "# $answer each, $(kilobytes) KiB in all" >&3
        [ "$(threads)" = 1 ]
        [ "$(kilobytes)" -lt 10000 ]
        [ "$(within sh -c 'cat /mnt/*/file | wc -l')" = 1000 ]
        [ "$(threads)" -lt 1100 ]
        patience=10 eventually idle
        [ "$(kilobytes)" -lt 20000 ]
        say none 1000
        echo "# revoke and unmount: $answer each" >&3
        [[ $answer == ok* ]]
        [ "$(descriptors)" -lt 20 ]
        add 1 rw "$OUT"
        within cat /mnt/1/file
        leave
}
idle() { [ "$(threads)" = 1 ]; }

@test "descriptors: a walk over many files keeps none; one grant cannot take them all" {
        mkdir "$OUT/d" "$PLACE/other"
        echo text >"$PLACE/other/file"
        (cd "$OUT/d" && seq 5000 | xargs touch)
        (
                ulimit -n 1000
                grants
                add 1 rw "$OUT"
                add 2 rw "$PLACE/other"
                [ "$(within find /mnt/1 -type f | wc -l)" = 5000 ]
                [ "$(within sh -c 'cat /mnt/1/d/* | wc -c')" = 0 ]
                [ "$(descriptors)" -lt 60 ]
                run within_tool many /mnt/1 900
                [[ $output == *"Too many open files in system"* ]]
                start within_tool many /mnt/1 300 >"$PLACE/said"
                eventually said open "$PLACE/said"
                [ "$(within cat /mnt/2/file)" = text ]
                touch "$GO"
                leave
        )
}

churn='
import os
os.chdir("/mnt/1")
for i in range(1000):
    i = str(i)
    open("a" + i, "w").write("x"); os.rename("a" + i, "b" + i); os.link("b" + i, "c" + i); os.mkdir("d" + i)
    os.rename("c" + i, "d" + i + "/c"); os.stat("d" + i); os.unlink("d" + i + "/c"); os.rmdir("d" + i); os.unlink("b" + i)
'
@test "memory does not grow with what comes and goes" {
        grants
        add 1 rw "$OUT"
        within python3 -c "$churn"
        before=$(kilobytes)
        for _ in 1 2 3 4; do
                within python3 -c "$churn"
        done
        [ "$(kilobytes)" -lt $((before + 2000)) ]
        leave
}

@test "a name that is swapped for a link while it is looked up never leads outside" {
        mkdir -p "$PLACE/secret/d"
        echo SECRET >"$PLACE/secret/d/file"
        for i in $(seq 0 49); do
                mkdir -p "$OUT/a$i/d"
                echo right | tee "$OUT/a$i/d/file" >"$OUT/plain$i"
                ln -s "$PLACE/secret" "$OUT/b$i"
                ln -s "$PLACE/secret/d/file" "$OUT/link$i"
        done
        grants
        add 1 rw "$OUT"
        within mount -t tmpfs covers "$PLACE/secret" # inside sees the rest of the main system in these tests
        start "$TOOLS/tool" swap "$OUT/a" "$OUT/b" 5000 50
        swapper=$started
        within_tool same /mnt/1/a /d/file $'right\n' 4500 50
        # Writes too go nowhere else.
        start "$TOOLS/tool" swap "$OUT/plain" "$OUT/link" 5000 50
        within_tool same /mnt/1/plain '' $'right\n' 2500 50
        within sh -c 'for i in $(seq 0 49); do echo right >/mnt/1/a$i/d/file; echo right >/mnt/1/plain$i; mkdir /mnt/1/a$i/d/x; done' \
                2>/dev/null || true
        ends_with 0
        wait "$swapper"
        [ "$(cat "$PLACE/secret/d/file")" = SECRET ]
        [ "$(ls "$PLACE/secret/d")" = file ]
        leave
}

@test "a file that is swapped for another outside is one or the other, never a mixture" {
        for i in a b; do head -c 100 /dev/zero | tr '\0' "$i" >"$OUT/${i}0"; done
        grants
        add 1 - "$OUT"
        start "$TOOLS/tool" swap "$OUT/a" "$OUT/b" 2500 1
        within sh -c 'end=$(($(date +%s) + 2)); while [ "$(date +%s)" -lt $end ]; do
                case $(cat /mnt/1/a0 | tr -s ab) in a|b|"") ;; *) echo mixed ;; esac; done' >"$PLACE/got" 2>/dev/null
        not grep mixed "$PLACE/got"
        ends_with 0
        leave
}

@test "a source that is deleted, and one that is replaced" {
        mkdir "$OUT/s"
        echo text >"$OUT/s/file"
        grants
        add 1 rw "$OUT/s"
        within cat /mnt/1/file
        rm -r "$OUT/s"
        mkdir "$OUT/s"
        echo other >"$OUT/s/file"
        soon=2000 seen sh -c '! cat /mnt/1/file 2>/dev/null'
        not within sh -c 'echo x >/mnt/1/new'
        [ "$(ls "$OUT/s")" = file ]
        say add 2 rw "$OUT/none"
        [ "$answer" = "Bad file descriptor" ]
        revoke 1
        leave
}

@test "a full disk: what does not fit is told, what is there stays" {
        world
        out mount -t tmpfs -o size=1M small "$OUT"
        grants
        add 1 rw "$OUT"
        run within dd if=/dev/zero of=/mnt/1/big bs=64k count=100
        [ "$status" != 0 ]
        [[ $output == *"No space left"* ]]
        [ "$(within stat -c %s /mnt/1/big)" = "$(out stat -c %s "$OUT/big")" ]
        run within sh -c 'echo text >/mnt/1/small'
        not within sh -c 'head -c 100000 /dev/zero >/mnt/1/more'
        within rm -f /mnt/1/big /mnt/1/small /mnt/1/more
        within sh -c 'echo text >/mnt/1/small'
        [ "$(within cat /mnt/1/small)" = text ]
        leave
}

@test "messages that make no sense are answered, and change nothing" {
        echo text >"$OUT/file"
        grants
        add 1 rw "$OUT"
        say raw 00
        say raw 014764500100000001
        say raw "$(printf '01476450%0504d' 0)"       # type 0
        say raw "$(printf '0147645063000000%0496d' 0)" # type 99
        say raw "$(printf '0147645001000000%0496d' 0)" # ADD without an id or descriptors
        say raw "$(printf '01476450010000000900000000000000%0480d' 0)" # ADD 9 without descriptors
        say raw "$(printf '01476450040000000100000000000000%0480d' 0)" # an answer to what did not ask
        say raw "$(printf '02476450030000000100000000000000%0480d' 0)" # another version
        say raw "$(printf '%01024d' 0)"
        for i in $(seq 30); do say raw "$(head -c 256 /dev/urandom | od -An -tx1 | tr -d ' \n')"; done
        say add 1 rw "$OUT"
        [ "$answer" = "File exists" ]
        say umount 1 # what was mounted for that
        [ "$(within cat /mnt/1/file)" = text ]
        [ "$(grep -c refused "$PLACE/events")" -gt 5 ]
        [ "$(descriptors)" -lt 20 ]
        revoke 1
        leave
}

@test "a descriptor that is not a mount's device is refused" {
        grants
        [ "$(within sh -c 'mount -t tmpfs x /mnt/t 2>/dev/null || echo none')" = none ]
        not "$SERVER" 2>"$PLACE/message" 3</dev/null
        grep -q 'started by paddock' "$PLACE/message"
        leave
}

@test "signals of a terminal mean nothing to it" {
        grants
        add 1 rw "$OUT"
        kill -INT "$server"; kill -HUP "$server"; kill -QUIT "$server"; kill -TSTP "$server"
        sleep 0.2
        within ls /mnt/1
        leave
}

@test "grants come and go while programs work in them" {
        for i in $(seq 20); do echo "$i" >"$OUT/$i"; done
        grants
        add 1 rw "$OUT"
        start within sh -c "until [ -e '$GO' ]; do cat /mnt/*/* 2>/dev/null; ls -l /mnt/* ; echo x >/mnt/2/new; mv /mnt/2/new /mnt/2/old; done" >/dev/null 2>&1
        for i in $(seq 40); do
                add 2 rw "$OUT"
                add 3 - "$OUT"
                sleep 0.02
                revoke 2
                say umount 2
                revoke 3
                say umount 3
        done
        [ "$(within cat /mnt/1/7)" = 7 ]
        touch "$GO"
        wait "$started" || true
        patience=10 eventually idle
        [ "$(descriptors)" -lt 20 ]
        leave
}

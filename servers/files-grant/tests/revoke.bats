#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Once a revoke has returned nothing can be read or written, whatever inside holds on to.

load common

# hold - the program `held` takes hold of /mnt/1 in every way
hold()
{
        rm -f "$PLACE"/ready* "$PLACE/go"
        start within "$TOOLS/held" /mnt/1 "$PLACE/ready" "$PLACE/go" >"$PLACE/held" 2>&1
        holder=$started
        eventually test -e "$PLACE/ready" || { cat "$PLACE/held" >&2; return 1; }
}

let_try()
{
        touch "$PLACE/go"
        wait "$holder"
        [ "$(wc -l <"$PLACE/held")" -gt 30 ]
}

@test "before: every handle is alive (or the next test could not fail)" {
        grants
        add 1 rw "$OUT"
        hold
        let_try
        not grep ': dead' "$PLACE/held"
        grep -q '^own-copy: kept' "$PLACE/held"
        leave
}

@test "after: descriptors, directories, mappings, a program, a descriptor in flight, one in an io_uring" {
        grants
        add 1 rw "$OUT"
        hold
        revoke 1
        let_try
        not grep ALIVE "$PLACE/held"
        grep -q '^own-copy: kept' "$PLACE/held"
        [ "$files" -gt 5 ]
        # What was written through a mapping before arrived.
        [ "$lost" = 0 ]
        grep -q 'dirty before the revoke' "$OUT/mapped"
        # What was tried afterwards did not.
        not grep -q overwritten "$OUT/plain" "$OUT/passed" "$OUT/uring" "$OUT/written"
        [ "$(stat -c '%s %a' "$OUT/plain")" = "4096 644" ]
        not test -e "$OUT/d/made"
        not test -e "$OUT/d/made-too"
        leave
}

@test "it is the same right after, without a pause, twenty times" {
        grants
        for i in $(seq 20); do
                echo text >"$OUT/file"
                add "$i" rw "$OUT"
                rm -f "$GO" "$PLACE/got"
                start within sh -c "exec 5<>/mnt/$i/file; cat /mnt/$i/file >/dev/null; echo now; until [ -e '$GO' ]; do :; done
                        cat <&5; cat /mnt/$i/file; echo more >&5; echo more >/mnt/$i/new" >"$PLACE/got" 2>/dev/null
                eventually said now "$PLACE/got"
                revoke "$i"
                touch "$GO"
                wait "$started" || true
                [ "$(cat "$PLACE/got")" = now ]
                not within cat "/mnt/$i/file"
                [ "$(cat "$OUT/file")" = text ]
                not test -e "$OUT/new"
        done
        leave
}

@test "a thousand open files are taken back at once" {
        grants
        add 1 rw "$OUT"
        start within_tool many /mnt/1 1000 >"$PLACE/many"
        holder=$started
        eventually said open "$PLACE/many"
        revoke 1
        echo "# revoke with 1000 open files: $us us" >&3
        [ "$files" = 1000 ]
        [ "$us" -lt 200000 ]
        touch "$GO"
        wait "$holder"
        grep -q '^0 alive' "$PLACE/many"
        leave
}

@test "stat, listing and looking up fail too, also what the kernel has just learnt" {
        mkdir "$OUT/d"
        touch "$OUT/d/file"
        grants
        add 1 rw "$OUT"
        start within sh -c "cd /mnt/1/d && ls -l >/dev/null && echo in; until [ -e '$GO' ]; do ls -l . >/dev/null; done
                stat file && echo ALIVE; ls . && echo ALIVE; test -e file && echo ALIVE; true" >"$PLACE/got" 2>/dev/null
        looker=$started
        eventually said in "$PLACE/got"
        start within_tool statloop /mnt/1/d/file
        revoke 1
        ends_with 0
        touch "$GO"
        wait "$looker"
        grep -q in "$PLACE/got"
        not grep ALIVE "$PLACE/got"
        leave
}

@test "pages that were changed through a mapping reach the file, megabytes of them" {
        grants
        add 1 rw "$OUT"
        start within_tool dirty /mnt/1/big 20000000 >"$PLACE/dirty"
        eventually said dirty "$PLACE/dirty"
        revoke 1
        [ "$lost" = 0 ]
        [ "$(tr -d D <"$OUT/big" | wc -c)" = 0 ]
        [ "$(stat -c %s "$OUT/big")" = 20000000 ]
        touch "$GO"
        leave
}

@test "what does not reach a full file system is told lost" {
        world
        out mount -t tmpfs -o size=2M small "$OUT"
        grants
        add 1 rw "$OUT"
        start within_tool dirty /mnt/1/big 4000000 >"$PLACE/dirty"
        eventually said dirty "$PLACE/dirty"
        revoke 1
        [ "$lost" -gt 1000000 ]
        touch "$GO"
        leave
}

@test "a grant of the same source again, and another beside it, are not touched" {
        echo text >"$OUT/file"
        grants
        add 1 rw "$OUT"
        add 2 rw "$OUT"
        within cat /mnt/1/file /mnt/2/file
        revoke 1
        [ "$(within cat /mnt/2/file)" = text ]
        say umount 1
        add 1 rw "$OUT"
        [ "$(within cat /mnt/1/file)" = text ]
        revoke 1
        revoke 1 # nothing to do is no mistake
        revoke 7
        [ "$(within cat /mnt/2/file)" = text ]
        leave
}

@test "what was unmounted is told, and is gone" {
        grants
        add 1 rw "$OUT"
        within ls /mnt/1
        say umount 1
        eventually event '^gone 1'
        add 1 rw "$OUT"
        within ls /mnt/1
        leave
}

@test "the server killed: nothing new can be read or written, and nothing hangs" {
        echo text >"$OUT/file"
        head -c 1000000 /dev/urandom >"$OUT/other"
        grants
        add 1 rw "$OUT"
        within cat /mnt/1/file
        kill -KILL "$server"
        eventually ended "$server"
        not within timeout 5 cat /mnt/1/other
        not within timeout 5 sh -c 'echo more >/mnt/1/file'
        [ "$(cat "$OUT/file")" = text ]
        echo end >&7
        wait "$driver" || [ $? = 137 ]
        exec 6>&- 7>&-
}

@test "the end of the control socket ends all, whoever still uses it" {
        echo text >"$OUT/file"
        grants
        add 1 rw "$OUT"
        start within sh -c 'exec 5</mnt/1/file; sleep 3; cat <&5 && echo ALIVE'
        kill -KILL "$driver"
        eventually ended "$server"
        not within timeout 5 cat /mnt/1/file
        exec 6>&- 7>&-
}

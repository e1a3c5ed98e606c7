#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# warden.bats - a program in an environment that was started reaches neither its warden nor whoever enters, and the view is as
# locked as in a run.

load common

setup_file() { build control pounce mounts; }

SOCKET() { echo "$XDG_STATE_HOME/paddock/env/web/control"; }

# started OPTION... - the environment web with these rules. `create` takes none: a run makes it.
started()
{
        inside -n web "$@" true
        "$PADDOCK" start web
}

enter() { "$PADDOCK" enter web "$@"; }

@test "warden: outside, its owner is served" {
        tool control
        started
        attack "$TOOLS/control" "$(SOCKET)"
        [[ $output == "served: $(SOCKET) with /proc/self/ns/user" ]]
}

@test "warden: its socket is reached under no rule" {
        tool control
        for rule in '' "--private $PLACE" "--mirror $PLACE" "--share $PLACE" "--share $XDG_STATE_HOME" '--mirror /' '--share /' \
                "--from /tmp/elsewhere=$PLACE" "--union /tmp/elsewhere=$PLACE:/usr/share" "--root $PLACE --mirror /usr --mirror /bin --mirror /lib --mirror /lib64 --mirror $TOOLS"; do
                # shellcheck disable=SC2086
                started $rule
                for name in "$(SOCKET)" "/tmp/elsewhere/state/paddock/env/web/control" "/state/paddock/env/web/control" \
                        "/proc/1/root$(SOCKET)" "/proc/1/cwd/control" /proc/1/fd/5; do
                        attack enter "$TOOLS/control" "$name"
                        held
                        not grep -q reached "$PLACE/complaints" || { echo "reached with $rule: $name" >&2; return 1; }
                done
                attack enter find "$PLACE" /tmp/elsewhere /state -name control -type s
                [ -z "$output" ] || { echo "found with $rule: $output" >&2; return 1; }
                "$PADDOCK" stop --now web
                "$PADDOCK" rm web
        done
}

@test "warden: where its socket has another name inside, it does not serve" {
        tool control
        mkdir "$PLACE/open"
        started --share "$PLACE/open"
        ln "$(SOCKET)" "$PLACE/open/control" || skip "this file system links no sockets"
        attack "$TOOLS/control" "$PLACE/open/control"
        [[ $output == served:* ]]
        attack enter "$TOOLS/control" "$PLACE/open/control"
        held
        grep -q 'refused' "$PLACE/complaints"
        # Not from a namespace below either, and not from another environment.
        attack enter unshare -r "$TOOLS/control" "$PLACE/open/control"
        held
        attack inside --share "$PLACE/open" --mirror "$TOOLS" "$TOOLS/control" "$PLACE/open/control"
        held
        [ "$(enter echo alive)" = alive ]
}

@test "warden: nobody gets hold of a process that is just entering" {
        tool pounce
        started
        "$PADDOCK" enter web "$TOOLS/pounce" 6 >"$PLACE/got" 2>"$PLACE/tried" 3>&- 4>&- &
        children+=($!)
        pounced=$!
        for i in $(seq 150); do enter true; done
        wait "$pounced" || true
        cat "$PLACE/tried" >&2
        [ ! -s "$PLACE/got" ] || { sort "$PLACE/got" | uniq -c >&2; return 1; }
        grep -vq 'tried 0 times' "$PLACE/tried"
}

@test "warden: nor does root of the environment" {
        [ -w /dev/fuse ] || skip "needs /dev/fuse"
        tool pounce
        "$PADDOCK" create --as root web
        "$PADDOCK" start web 2>/dev/null
        "$PADDOCK" enter web "$TOOLS/pounce" 6 >"$PLACE/got" 2>"$PLACE/tried" 3>&- 4>&- &
        children+=($!)
        pounced=$!
        for i in $(seq 150); do enter true; done
        wait "$pounced" || true
        [ ! -s "$PLACE/got" ] || { sort "$PLACE/got" | uniq -c >&2; return 1; }
        grep -vq 'tried 0 times' "$PLACE/tried"
}

@test "warden: the view of a started environment cannot be undone" {
        tool mounts
        mkdir "$OUT/d"
        echo data >"$OUT/d/file"
        echo SECRET >"$OUT/d/secret"
        started --share "$OUT" --mirror "$OUT/d"
        attack untouched "$OUT/d" enter "$TOOLS/mounts" write "$OUT/d" file
        held
        "$PADDOCK" stop --now web && "$PADDOCK" rm web
        started --share "$OUT" --hide "$OUT/d/secret"
        attack enter "$TOOLS/mounts" look "$OUT/d" secret
        held
        "$PADDOCK" stop --now web && "$PADDOCK" rm web
        started --share /
        echo SECRET >"$XDG_STATE_HOME/paddock/secret"
        attack enter "$TOOLS/mounts" look "$XDG_STATE_HOME/paddock" secret
        held
        # What one of them mounts in namespaces of its own reaches nobody.
        attack enter unshare -rm sh -c 'mount -t tmpfs none /mnt && touch /mnt/made'
        [ -z "$(enter ls /mnt/made 2>/dev/null)" ]
}

@test "warden: init and attendants are out of reach, and cannot be ended by what they attend" {
        started
        "$PADDOCK" enter web sleep 300 3>&- 4>&- &
        children+=($!)
        sleep 0.3
        attack enter sh -c 'for p in 1 $(pgrep paddock); do
                for f in mem environ maps root/etc fd/0 cwd/. exe; do ls /proc/$p/$f >/dev/null 2>&1 && cat /proc/$p/$f >/dev/null 2>&1 && echo "$p: $f"; done
        done; true'
        held
        attack enter sh -c 'kill -9 1; kill -TERM 1; kill -STOP 1; sleep 0.2; true'
        held
        [ "$(enter echo alive)" = alive ]
        # An attendant that is killed takes its own session along, and nothing else.
        attack enter sh -c 'pkill -9 paddock-session'
        [ "$(enter echo alive)" = alive ]
}

@test "warden: nothing of what enters is left open in the program, nor in init" {
        started
        exec 7<"$PLACE" 8>"$PLACE/outside"
        attack enter sh -c 'ls -l /proc/self/fd | grep -v "/proc/" | grep -E "socket|pipe:.*[3-9] ->|memfd|anon_inode|outside"'
        exec 7<&- 8>&-
        not grep -E ' [3-9] ->' <<<"$output"
        first=$(first_of web)
        before=$(ls "/proc/$first/fd" | wc -l)
        for i in $(seq 30); do enter true; done
        eventually [ "$(ls "/proc/$first/fd" | wc -l)" = "$before" ]
        not sh -c "ls -l /proc/$first/fd | grep memfd"
}

@test "warden: what is inside cannot keep a right by killing whoever takes it away, nor by leaving no room for that" {
        mkdir "$PLACE/tree"
        echo SECRET >"$PLACE/tree/secret"
        started --hide "$PLACE/tree"
        "$PADDOCK" grant web "$PLACE/tree" --plain --at "$HOME/tree"
        [ "$(enter cat "$HOME/tree/secret")" = SECRET ]
        "$PADDOCK" enter web sh -c 'while :; do for p in $(pgrep paddock-change); do kill -9 "$p"; done; done' 3>&- 4>&- >/dev/null 2>&1 &
        children+=($!)
        "$PADDOCK" enter web sh -c 'while :; do sleep 1 & done' 3>&- 4>&- >/dev/null 2>&1 &
        children+=($!)
        sleep 0.5
        run timeout 20 "$PADDOCK" revoke web "$PLACE/tree"
        expect_status 0
        attack enter cat "$HOME/tree/secret"
        held
        run timeout 20 "$PADDOCK" stop --now web
        expect_status 0
}

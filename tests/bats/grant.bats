#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# grant.bats - rights given to an environment that runs, and what cannot be given.

load common
load grants
eval "original_$(declare -f teardown)"
teardown() { end_web; original_teardown; }

@test "grant: a tree, read-only, is seen by programs that run already" {
        needs_fuse
        mkdir -p "$HOME/papers/deep" && echo text >"$HOME/papers/deep/a"
        web
        start "$PADDOCK" enter web sh -c "until cat $HOME/papers/deep/a; do sleep 0.02; done 2>/dev/null" >"$PLACE/seen"
        run grant "$HOME/papers"
        expect_status 0
        expect_output "web: $HOME/papers (tree, ro): revocable"
        ends_with 0
        grep -qx text "$PLACE/seen"
        run enter sh -c "echo x >$HOME/papers/deep/a; rm $HOME/papers/deep/a; mkdir $HOME/papers/d; chmod 777 $HOME/papers/deep"
        expect_match 'Read-only file system'
        [ "$(cat "$HOME/papers/deep/a")" = text ]
        [ ! -e "$HOME/papers/d" ]
}

@test "grant: a tree, read-write: what is written is outside" {
        needs_fuse
        mkdir "$HOME/papers"
        web
        grant "$HOME/papers" rw
        enter sh -c "mkdir $HOME/papers/d && echo new >$HOME/papers/d/f && ln -s f $HOME/papers/d/l && mv $HOME/papers/d $HOME/papers/e"
        [ "$(cat "$HOME/papers/e/l")" = new ]
        echo outside >"$HOME/papers/e/f"
        [ "$(enter cat "$HOME/papers/e/f")" = outside ]
}

@test "grant: one file" {
        needs_fuse
        echo one >"$HOME/f"; echo two >"$HOME/g"
        web
        grant "$HOME/f" rw
        [ "$(enter cat "$HOME/f")" = one ]
        enter sh -c "echo three >$HOME/f"
        [ "$(cat "$HOME/f")" = three ]
        not enter cat "$HOME/g" 2>/dev/null
}

@test "grant: under another name, in a place that is made" {
        needs_fuse
        echo one >"$OUT/f"
        web
        run grant "$OUT" --at "$HOME/a/b/c"
        expect_output "web: $OUT (tree, ro): revocable, at $HOME/a/b/c"
        [ "$(enter cat "$HOME/a/b/c/f")" = one ]
        is_root || fails 'Read-only file system.*name another place inside' grant web "$OUT" --at /etc/paddock-nowhere
        run "$PADDOCK" grants web
        expect_match "$OUT at $HOME/a/b/c"
}

@test "grant: --no-exec" {
        needs_fuse
        cp /bin/true "$OUT/true"
        web
        grant "$OUT" --no-exec --at "$HOME/x"
        run enter "$HOME/x/true"
        expect_status 126
        take "$OUT"
        grant "$OUT" --at "$HOME/x"
        enter "$HOME/x/true"
}

@test "grant: --for and --until: it ends by itself, with what is open" {
        needs_fuse
        echo one >"$OUT/f"
        web
        grant "$OUT" --for 2s --at "$HOME/x"
        start "$PADDOCK" enter web sh -c "exec 5<$HOME/x/f; sleep 3; cat <&5" >"$PLACE/read" 2>/dev/null
        eventually is_not_held "$OUT"
        ends_with 1
        [ ! -s "$PLACE/read" ]
        audit_has '"event": "expired"'
        grant "$OUT" --until "$(date -d '+2 seconds' '+%F %T')" --at "$HOME/x"
        is_held "$OUT"
        eventually is_not_held "$OUT"
}

@test "grant: --once lasts as long as the program that used it first" {
        needs_fuse
        echo one >"$OUT/f"
        web
        grant "$OUT" --once --at "$HOME/x"
        start "$PADDOCK" enter web sh -c "exec 5<$HOME/x/f; cat <&5; while [ ! -e $HOME/end ]; do sleep 0.05; done" >"$PLACE/read"
        eventually grep -qx one "$PLACE/read"
        sleep 1.2
        is_held "$OUT"
        enter touch "$HOME/end"
        eventually is_not_held "$OUT"
        audit_has '"event": "spent"'
}

@test "grant --plain: native, and what is open stays open when it is revoked; it says so" {
        echo one >"$OUT/f"
        web
        run grant "$OUT" --plain --at "$HOME/x"
        expect_status 0
        expect_match 'plain, what is open stays open'
        [ "$(enter stat -f -c %T "$HOME/x")" = "$(stat -f -c %T "$OUT")" ]
        run enter sh -c "echo two >$HOME/x/f"
        expect_match 'Read-only file system'
        start "$PADDOCK" enter web sh -c "exec 5<$HOME/x/f; echo open; while [ ! -e $HOME/go ]; do sleep 0.02; done; cat <&5; ls $HOME/x" >"$PLACE/read"
        eventually grep -qx open "$PLACE/read"
        take "$OUT"
        enter touch "$HOME/go"
        ends_with 0
        [ "$(cat "$PLACE/read")" = $'open\none' ]
        grant "$OUT" rw --plain --at "$HOME/x"
        enter sh -c "echo three >$HOME/x/f"
        [ "$(cat "$OUT/f")" = three ]
}

@test "grant: a UNIX socket" {
        needs_fuse
        start "$RELAY_TOOL" echo stream "$HOME/s" >"$PLACE/served"
        eventually grep -q listens "$PLACE/served"
        web
        run grant "$HOME/s"
        expect_output "web: $HOME/s (socket): revocable"
        [ "$(enter "$RELAY_TOOL" half "$HOME/s")" = half-closed ]
        start "$PADDOCK" enter web "$RELAY_TOOL" open "$HOME/s" >"$PLACE/open"
        eventually grep -q open "$PLACE/open"
        take "$HOME/s"
        grep -q ended "$PLACE/open" || eventually grep -q ended "$PLACE/open"
        not enter "$RELAY_TOOL" open "$HOME/s" 2>/dev/null
        [ -z "$(ls "$XDG_STATE_HOME/paddock/env/web/sockets")" ]
        # again, and once
        grant "$HOME/s" --once
        [ "$(enter "$RELAY_TOOL" half "$HOME/s")" = half-closed ]
        eventually is_not_held "$HOME/s"
        # another type; and natively
        start "$RELAY_TOOL" echo seqpacket "$HOME/q" >"$PLACE/served2"
        eventually grep -q listens "$PLACE/served2"
        grant "$HOME/q"
        [ "$(enter "$RELAY_TOOL" boundaries "$HOME/q")" = kept ]
        run grant "$HOME/s" --plain
        expect_match plain
        [ "$(enter "$RELAY_TOOL" half "$HOME/s")" = half-closed ]
}

@test "grant: the server of a socket is started again, and new connections reach it; an older socket of that name is not it" {
        needs_fuse
        cat >serve.py <<'END'
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
open(sys.argv[1] + ".ready", "w").close()
while True:
    c = s.accept()[0]
    c.sendall(sys.argv[2].encode())
    c.close()
END
        cat >ask.py <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
print(s.recv(20).decode())
END
        start python3 serve.py older older
        start python3 serve.py s first
        eventually exists s.ready
        eventually exists older.ready
        web
        grant "$HOME/s"
        run enter python3 -c "$(cat ask.py)" "$HOME/s"
        expect_output first
        kill "$started"
        wait "$started" || true
        rm s s.ready
        start python3 serve.py s second
        eventually exists s.ready
        run enter python3 -c "$(cat ask.py)" "$HOME/s"
        expect_output second
        kill "$started"
        wait "$started" || true
        mv older s
        run enter python3 -c "$(cat ask.py)" "$HOME/s"
        [[ $output != *older* ]]
        take "$HOME/s"
}

@test "grant: nobody listens at the socket" {
        start "$RELAY_TOOL" echo stream "$HOME/s" >"$PLACE/served"
        eventually grep -q listens "$PLACE/served"
        kill -KILL "$started"
        eventually ended "$started"
        web
        fails 'nobody listens at' grant web "$HOME/s"
}

@test "grant: through a link, the canonical name is told" {
        needs_fuse
        mkdir "$OUT/real" && echo one >"$OUT/real/f" && ln -s "$OUT/real" "$HOME/link"
        web
        run grant "$HOME/link/f" --at "$HOME/f"
        expect_status 0
        expect_match "what is granted is $OUT/real/f"
        [ "$(enter cat "$HOME/f")" = one ]
}

# where_fuse_is WHAT SCRIPT - runs the script where /dev/fuse is a file (`file`), gone (`gone`), or a node that nobody may open
# (`closed`). Of real root's /dev only what stands in it counts, not what is mounted on that.
where_fuse_is()
{
        local alone="--user --map-current-user --keep-caps"

        ! is_root || alone=
        : >"$PLACE/file"
        # shellcheck disable=SC2016,SC2086
        unshare $alone --mount sh -c '
                case $1 in
                file) mount --bind "$PLACE/file" /dev/fuse ;;
                closed)
                        for node in /dev/kmsg /dev/console /dev/mem /dev/fuse; do
                                [ ! -c "$node" ] || [ -w "$node" ] || break
                        done
                        mount --bind "$node" /dev/fuse && [ ! -w /dev/fuse ]
                        ;;
                gone)
                        mkdir -p "$PLACE/dev" && mount --rbind /dev "$PLACE/dev" && mount -t tmpfs none /dev || exit 99
                        for node in null zero full random urandom tty; do
                                cp -a "$PLACE/dev/$node" /dev 2>/dev/null && continue
                                : >"/dev/$node" && mount --bind "$PLACE/dev/$node" "/dev/$node" || exit 99
                        done
                        mkdir /dev/pts && mount --rbind "$PLACE/dev/pts" /dev/pts && ln -s pts/ptmx /dev/ptmx &&
                                ln -s /proc/self/fd /dev/fd && mkdir -m 1777 /dev/shm && umount -l "$PLACE/dev"
                        ;;
                esac || exit 99
                exec setpriv --ambient-caps=-all --inh-caps=-all -- sh -ec "$2"' - "$1" "$2"
}

@test "grant: without a /dev/fuse that can be used: it is told, with its remedies, and --plain works" {
        mkdir "$OUT/a" && echo one >"$OUT/a/f"
        printf 'name: web\nview: {"%s": empty}\n' "$HOME" >"$PLACE/web.yaml"
        "$PADDOCK" create -f "$PLACE/web.yaml"
        for what in file gone closed; do
                ! is_root || [ "$what" = gone ] || continue
                # shellcheck disable=SC2016
                run where_fuse_is "$what" '
                        "$PADDOCK" start web
                        ! "$PADDOCK" grant web "$OUT/a" --at "$HOME/a" || echo granted
                        ! "$PADDOCK" ask web "$OUT/a" --at "$HOME/b" || echo asked
                        "$PADDOCK" grants web
                        "$PADDOCK" grant --plain web "$OUT/a" --at "$HOME/a"
                        "$PADDOCK" enter web cat "$HOME/a/f"
                        "$PADDOCK" stop web'
                [ "$status" != 99 ] || skip "cannot mount here"
                expect_status 0
                not grep -E '^(granted|asked)$' <<<"$output"
                [ "$(grep -c 'which a right that can be taken back needs' <<<"$output")" = 2 ]
                [ "$(grep -c 'or grant it --plain' <<<"$output")" = 2 ]
                [ "${lines[-1]}" = one ]
                if [ "$what" = closed ]; then
                        expect_match 'cannot open /dev/fuse.*chmod 666 /dev/fuse'
                else
                        expect_match 'there was no /dev/fuse.*modprobe fuse.*start the environment again'
                fi
        done
}

@test "grant: what cannot be granted is refused by name, with a remedy, and changes nothing" {
        web
        fails "there is no $HOME/nothing" grant web "$HOME/nothing"
        fails '/ cannot be granted for writing' grant web / rw
        fails 'holds paddock.s own state' grant web /
        fails 'holds paddock.s own state' grant web "$PLACE"
        fails 'is part of paddock.s own state' grant web "$XDG_STATE_HOME/paddock"
        fails 'is part of paddock.s own state' grant web "$XDG_STATE_HOME/paddock/env/web/control"
        fails 'is part of paddock.s own state' grant web "$XDG_STATE_HOME/paddock/env/web/layer" # a loop
        fails 'the kernel.s own' grant web /proc
        fails 'the kernel.s own' grant web /proc/self/
        fails 'the kernel.s own' grant web /sys/kernel
        fails 'a device' grant web /dev/null
        mkfifo "$HOME/fifo"
        fails 'a fifo' grant web "$HOME/fifo"
        ln -s "$XDG_STATE_HOME" "$HOME/state"
        fails 'own state' grant web "$HOME/state/paddock"
        ln -s loop "$HOME/loop"
        fails 'Too many levels' grant web "$HOME/loop"
        first=$(first_of web)
        ! is_root || fails "no name in this system's own tree|the kernel's own|own state" grant web "/proc/$first/root/etc"
        fails "there is no environment" grant nobody "$OUT"
        fails "which resource" grant web
        fails "is no mode" grant web "$OUT" wr
        fails "is no time span" grant web "$OUT" --for soon
        fails "is in the past" grant web "$OUT" --until 2001-01-01
        fails "exclude each other" grant web "$OUT" --for 1h --until 18:30
        run "$PADDOCK" grants web
        expect_output ''
}

@test "grant: an environment that is not started" {
        "$PADDOCK" create web
        fails "'web' is not started" grant web "$OUT"
        run "$PADDOCK" grant web "$OUT" rw --keep --at "$HOME/x"
        expect_status 0
        expect_match 'from the next start on'
}

@test "grant --keep: at later starts as well, until it is revoked" {
        needs_fuse
        echo one >"$OUT/f"
        web
        grant "$OUT" --keep --at "$HOME/x"
        "$PADDOCK" restart web
        [ "$(enter cat "$HOME/x/f")" = one ]
        kill -KILL "$(warden_of web)"
        eventually is_in_state web stopped
        is_held "next start.*$OUT"
        "$PADDOCK" start web
        [ "$(enter cat "$HOME/x/f")" = one ]
        take "$OUT"
        "$PADDOCK" restart web
        is_not_held "$OUT"
        # and while it is stopped
        "$PADDOCK" stop web
        "$PADDOCK" grant web "$OUT" --keep
        is_held "$OUT"
        run take "$OUT"
        expect_status 0
        is_not_held "$OUT"
        fails 'has no grant' revoke web "$OUT"
}

@test "grant: over another one, below another one" {
        needs_fuse
        mkdir -p "$OUT/a/b" "$OUT/other" && echo low >"$OUT/a/b/f" && echo high >"$OUT/other/f"
        web
        grant "$OUT/a" --at "$HOME/x"
        fails 'is granted already \(ro, revocable\)' grant web "$OUT/other" --at "$HOME/x"
        grant "$OUT/other" --at "$HOME/x/b"
        [ "$(enter cat "$HOME/x/b/f")" = high ]
        take "$OUT/other"
        [ "$(enter cat "$HOME/x/b/f")" = low ]
        grant "$OUT/other" --at "$HOME/x/b"
        run take "$OUT/a"
        expect_output 'web: 2 revoked'
        not enter cat "$HOME/x/b/f" 2>/dev/null
        grant "$OUT/other" --at "$HOME/y/b"
        fails 'it would cover' grant web "$OUT/a" --at "$HOME/y"
}

@test "grants of the description: given before the programs of run: start; locked ones are no command's" {
        needs_fuse
        mkdir "$OUT/a" "$OUT/b" "$OUT/b/sub" && echo one >"$OUT/a/f"
        web "run: ['cat $HOME/a/f >$HOME/seen']" "grants: [{path: $OUT/a, at: $HOME/a}, {path: $OUT/b, at: $HOME/b, locked: yes}]"
        eventually enter test -s "$HOME/seen"
        [ "$(enter cat "$HOME/seen")" = one ]
        is_held 'locked'
        fails 'locked line of the description' revoke web "$OUT/b"
        fails 'locked line of the description' grant web "$OUT/a" rw --at "$HOME/b"
        fails 'locked line of the description' grant web "$OUT/b" rw --at "$HOME/c"
        fails 'locked line of the description' grant web "$OUT/b/sub" rw
        fails 'locked line of the description' grant web "$OUT/a" rw --at "$HOME/b/sub"
        run take --all
        expect_output 'web: 1 revoked'
        is_held 'locked'
        enter ls "$HOME/b"
        audit_has '"event": "refused".*locked'
}

@test "grants of a description that cannot be given are named, and the others are" {
        needs_fuse
        mkdir "$OUT/a"
        run web "grants: [$OUT/nothing, {path: $OUT/a, at: $HOME/a}]"
        expect_status 125
        expect_match "not granted: there is no $OUT/nothing"
        is_held "$OUT/a"
}

@test "named sets: defined once, granted and revoked by name" {
        needs_fuse
        export XDG_CONFIG_HOME=$PLACE/config
        mkdir -p "$XDG_CONFIG_HOME/paddock" "$OUT/a" && echo one >"$OUT/f"
        printf 'my-keys: [{path: %s/a, at: %s/a}, {path: %s/f, mode: rw, at: %s/f}]\n' "$OUT" "$HOME" "$OUT" "$HOME" >"$XDG_CONFIG_HOME/paddock/grants.yaml"
        web
        grant my-keys
        enter ls "$HOME/a"
        enter sh -c "echo two >$HOME/f"
        [ "$(cat "$OUT/f")" = two ]
        is_held 'set my-keys'
        run take my-keys
        expect_output 'web: 2 revoked'
        fails "there is no set of grants 'my-key'; did you mean 'my-keys'" grant web my-key
        fails 'no grant.*my-keys' revoke web my-keys
        echo 'a b: [x]' >"$XDG_CONFIG_HOME/paddock/grants.yaml"
        fails 'grants.yaml:1:1: .a b. cannot name a set' grant web my-keys
}

@test "run --grant: for the time of one command" {
        needs_fuse
        mkdir "$OUT/a" && echo one >"$OUT/a/f"
        run inside --empty "$OUT" --grant "$OUT/a:rw" sh -c "cat $OUT/a/f; echo two >$OUT/a/g; exit 7"
        expect_status 7
        expect_output one
        [ "$(cat "$OUT/a/g")" = two ]
        run inside --empty "$OUT" --grant "$OUT/a" sh -c "echo x >$OUT/a/h"
        expect_match 'Read-only file system'
        refused "there is no $OUT/b" --grant "$OUT/b"
        [ -z "$("$PADDOCK" list | tail -n +2)" ]
        "$PADDOCK" create web
        run inside -n web --grant "$OUT/a:rw" sh -c "echo x >$OUT/a/h"
        expect_status 0
        [ "$(state_of web)" = stopped ]
        "$PADDOCK" start web
        run inside -n web --grant "$OUT/a:rw" true
        expect_status 0
        [ "$(state_of web)" = started ]
        is_not_held "$OUT"
}

@test "run -n --grant: of an environment that lives already, the right ends with the command, killed or not" {
        needs_fuse
        echo one >"$OUT/f"
        web
        run inside -n web --grant "$OUT" -- cat "$OUT/f"
        expect_output one
        is_not_held "$OUT"
        start inside -n web --grant "$OUT" -- sh -c "cat $OUT/f; sleep 60"
        eventually is_held "$OUT"
        kill -KILL "$started"
        eventually is_not_held "$OUT"
        is_in_state web started
}

@test "run --grant: killed, it leaves nothing: its environment ends at once, and the next command that looks removes it" {
        needs_fuse
        mkdir "$OUT/a"
        for options in "" "-n web"; do
                [ -z "$options" ] || "$PADDOCK" create web
                # shellcheck disable=SC2086
                start inside $options --grant "$OUT/a:rw" sh -c "echo \$\$ >$OUT/a/pid; exec sleep 1000"
                eventually [ -s "$OUT/a/pid" ]
                name=$("$PADDOCK" list | awk '$2 == "started" { print $1 }')
                warden=$(warden_of "$name") first=$(first_of "$name")
                kill -KILL "$started"
                eventually ended "$warden"
                eventually ended "$first"
                rm "$OUT/a/pid"
        done
        only_web() { [ "$("$PADDOCK" list | tail -n +2 | awk '{ print $1, $2 }')" = "web stopped" ]; }
        eventually only_web
        [ "$(ls "$XDG_STATE_HOME/paddock/env")" = web ]
        # Killed before it has started anything, and before its environment has a warden.
        for pause in 0.001 0.003 0.006 0.01 0.02; do
                start inside --grant "$OUT/a:rw" sleep 1000
                sleep "$pause"
                kill -KILL "$started"
        done
        eventually only_web
        # One that lives is left alone.
        start inside --grant "$OUT/a:rw" sh -c "echo \$\$ >$OUT/a/pid; exec sleep 1000"
        eventually [ -s "$OUT/a/pid" ]
        "$PADDOCK" list | grep started
        inside --grant "$OUT/a:rw" true
        "$PADDOCK" list | grep started
}

@test "grant: the server of grants killed: what it gave has ended, and it is started anew" {
        needs_fuse
        mkdir "$OUT/a" && echo one >"$OUT/a/f"
        servers() { pgrep -x -u "$(id -u)" paddock-files-g | tr '\n' ' '; }
        before=$(servers)
        web
        grant "$OUT/a" --at "$HOME/x"
        start "$PADDOCK" enter web sh -c "exec 5<$HOME/x/f; echo open; while [ ! -e $HOME/go ]; do sleep 0.02; done; cat <&5" >"$PLACE/read" 2>/dev/null
        eventually grep -q open "$PLACE/read"
        for server in $(servers); do [[ " $before " == *" $server "* ]] || break; done
        kill -KILL "$server"
        eventually is_not_held "$OUT"
        audit_has '"event": "lost"'
        enter touch "$HOME/go"
        ends_with 1
        grant "$OUT/a" --at "$HOME/x"
        [ "$(enter cat "$HOME/x/f")" = one ]
}

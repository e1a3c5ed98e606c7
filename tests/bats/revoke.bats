#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# revoke.bats - once `paddock revoke` has returned, nothing of what was granted can be used.

load common
load grants
eval "original_$(declare -f teardown)"
teardown() { end_web; original_teardown; }

@test "revoke: every kind of handle on a tree is dead: descriptors, mappings, programs that run, in flight, in an io_uring" {
        needs_fuse
        mkdir "$HOME/papers"
        web
        grant "$HOME/papers" rw
        start "$PADDOCK" enter web "$HELD" "$HOME/papers" "$HOME/ready" "$HOME/go" >"$PLACE/ways" 2>&1
        eventually enter test -e "$HOME/ready"
        run take "$HOME/papers"
        expect_status 0
        expect_match 'web: 1 revoked'
        enter touch "$HOME/go"
        wait "$started" || true
        [ "$(grep -c ': dead' "$PLACE/ways")" -gt 10 ]
        not grep ALIVE "$PLACE/ways" >&2
        not enter ls "$HOME/papers" 2>/dev/null || [ -z "$(enter ls "$HOME/papers")" ]
}

@test "revoke: by id, by the name outside, by the name inside, all" {
        needs_fuse
        mkdir "$OUT/a" "$OUT/b" "$OUT/c" "$OUT/d"
        web
        for i in a b c d; do grant "$OUT/$i" --at "$HOME/$i"; done
        run take 1
        expect_output 'web: 1 revoked'
        run take "$OUT/b"
        expect_output 'web: 1 revoked'
        run take "$HOME/c"
        expect_output 'web: 1 revoked'
        cd "$OUT"
        run take ./d
        expect_output 'web: 1 revoked'
        run take --all
        expect_output 'web: 0 revoked'
        fails "has no grant of $OUT/a" revoke web "$OUT/a"
        fails "has no grant 77" revoke web 77
        fails "which resource\?" revoke web
        run "$PADDOCK" grants web
        expect_output ''
}

@test "revoke: with a thousand open files, in no time; others are not touched" {
        needs_fuse
        mkdir "$OUT/a" "$OUT/b" && echo keep >"$OUT/b/f"
        for i in $(seq 1000); do echo "$i" >"$OUT/a/$i"; done
        web
        grant "$OUT/a" --at "$HOME/a"
        grant "$OUT/b" --at "$HOME/b"
        start "$PADDOCK" enter web python3 -c "
import os, time
files = [open('$HOME/a/%d' % i) for i in range(1, 1001)]
other = open('$HOME/b/f')
open('$HOME/ready', 'w')
while not os.path.exists('$HOME/go'): time.sleep(0.02)
alive = 0
for f in files:
    try: os.pread(f.fileno(), 10, 0); alive += 1
    except OSError: pass
print(alive, other.read().strip())" >"$PLACE/alive"
        eventually enter test -e "$HOME/ready"
        before=$(date +%s%N)
        take "$OUT/a"
        took=$((($(date +%s%N) - before) / 1000000))
        enter touch "$HOME/go"
        ends_with 0
        [ "$(cat "$PLACE/alive")" = '0 keep' ]
        [ "$took" -lt 500 ] # it is a matter of milliseconds, and of the machine's load
}

@test "revoke: during heavy traffic; what was written is whole or told lost" {
        needs_fuse
        mkdir "$OUT/a"
        web
        for round in 1 2 3; do
                grant "$OUT/a" rw --at "$HOME/a"
                start "$PADDOCK" enter web sh -c "i=0; while echo \$i >$HOME/a/\$i && cat $HOME/a/\$i >/dev/null; do i=\$((i+1)); done" 2>/dev/null
                start "$PADDOCK" enter web sh -c "while find $HOME/a -type f -exec cat {} + >/dev/null; do [ -e $HOME/a/0 ] || break; done" 2>/dev/null
                sleep 0.3
                take "$OUT/a"
                before=$(ls "$OUT/a" | wc -l)
                sleep 0.2
                [ "$(ls "$OUT/a" | wc -l)" = "$before" ]
                for child in "${children[@]}"; do kill -KILL "$child" 2>/dev/null || true; done
                enter sh -c "rm -rf $HOME/a" || true
        done
}

@test "revoke: the thing outside was removed, or replaced, meanwhile" {
        needs_fuse
        mkdir "$OUT/a" && echo one >"$OUT/a/f" && echo x >"$OUT/g"
        web
        grant "$OUT/a" --at "$HOME/a"
        grant "$OUT/g" --at "$HOME/g"
        rm -r "$OUT/a" "$OUT/g"
        mkdir "$OUT/a" && echo other >"$OUT/a/f" && echo other >"$OUT/g"
        # the right was on what is gone, not on the name
        run enter cat "$HOME/a/f" "$HOME/g"
        not grep -q other <<<"$output"
        take "$OUT/a"
        take "$OUT/g"
}

@test "stop ends every grant; nothing is left" {
        needs_fuse
        mkdir "$OUT/a"
        web
        grant "$OUT/a" --at "$HOME/a"
        warden=$(warden_of web) first=$(first_of web)
        start "$PADDOCK" enter web sh -c "exec 5<$HOME/a; sleep 60"
        eventually audit_has '"event": "used"'
        SECONDS=0
        "$PADDOCK" stop --now web
        [ "$SECONDS" -lt 2 ]
        nothing_left "$warden" "$first"
}

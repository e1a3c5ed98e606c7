#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# snapshot.bats - `paddock snapshot`, `reset`, `clone`, `gc`: states kept, taken up again, shared, and let go.

load common
load layers


# Real root's layers lie under a range of ids, and are refused by name.
needs_user() { ! is_root || skip 'of an ordinary user'; }

shown() { "$PADDOCK" run -n "$1" -- $TREES show "$2"; }
frozen_count() { find "$XDG_STATE_HOME/paddock/frozen" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l; }

@test "snapshot: what was, comes back" {
        needs_user
        mkdir d && echo base >d/f && echo base >g
        sh_in 'echo one >d/f; echo new >n; rm g'
        untouched "$HOME" "$PADDOCK" snapshot env one
        sh_in '[ "$(cat d/f n)" = "one
new" ]; [ ! -e g ]; echo two >d/f; rm n; echo g2 >g; mkdir e'
        expect_changes 'M  d/f  (content)' 'A  e/' 'M  g  (content)'
        "$PADDOCK" snapshot env two
        sh_in 'rm -r d e g'
        untouched "$HOME" "$PADDOCK" reset env one
        sh_in '[ "$(cat d/f n)" = "one
new" ]; [ ! -e g ]; [ ! -e e ]'
        expect_changes 'M  d/f  (content)' 'D  g' 'A  n'
        "$PADDOCK" reset env two
        sh_in '[ "$(cat d/f g)" = "two
g2" ]; [ -d e ]; [ ! -e n ]'
        expect_changes 'M  d/f  (content)' 'A  e/' 'M  g  (content)'
        run "$PADDOCK" snapshot --list env
        expect_output 'one
two'
}

@test "snapshot: names, and what is not there" {
        needs_user
        "$PADDOCK" create env
        "$PADDOCK" snapshot env empty
        fails 'there is a snapshot .empty. of .env. already' snapshot env empty
        fails 'a snapshot cannot have this name' snapshot env ../x
        fails 'which TAG' snapshot env
        fails 'which environment' snapshot
        fails "has no snapshot 'none'" reset env none
        fails "has no snapshot" reset env ../empty
        fails "there is no environment 'nobody'" snapshot nobody t
        fails "there is no environment 'nobody'" clone nobody other
        fails 'there is an environment .env. already' clone env env
        sh_in 'echo x >f'
        "$PADDOCK" reset env empty
        no_changes
        "$PADDOCK" snapshot --delete env empty
        fails "has no snapshot" reset env empty
}

@test "snapshot: a running environment is refused, and told why" {
        needs_user
        start inside -n env --share "$OUT" sh -c 'touch f "$OUT/on"; until [ -e "$OUT/end" ]; do sleep 0.05; done'
        eventually test -e "$OUT/on"
        fails 'is running.*cannot be frozen while it is written' snapshot env t
        fails 'is running' clone env other
        fails 'is running|has no snapshot' reset env t
        touch "$OUT/end"
        ends_with 0
        "$PADDOCK" snapshot env t
}

@test "snapshot: places of the environment's own, and files without permissions" {
        needs_user
        echo base >file
        "$PADDOCK" run -n env --private "$HOME/file" --empty "$HOME/own" sh -ec 'echo one >file; echo one >own/f; mkdir own/d; ln own/f own/d/l; chmod 0 own/d
                echo s >sec; chmod 0 sec'
        "$PADDOCK" snapshot env one
        "$PADDOCK" run -n env --private "$HOME/file" --empty "$HOME/own" sh -ec '[ "$(cat file own/f)" = "one
one" ]; echo two >file; rm own/f; chmod 600 sec; echo s2 >sec'
        "$PADDOCK" reset env one
        "$PADDOCK" run -n env --private "$HOME/file" --empty "$HOME/own" sh -ec '[ "$(cat file own/f)" = "one
one" ]; [ "$(stat -c %a own/d sec | tr "\n" " ")" = "0 0 " ]'
}

@test "clone: two go on from one, and neither sees the other" {
        needs_user
        mkdir d && echo base >d/f
        sh_in 'echo one >d/f; echo x >n'
        untouched "$HOME" "$PADDOCK" clone env other
        "$PADDOCK" run -n other sh -ec '[ "$(cat d/f n)" = "one
x" ]; echo other >d/f; rm n'
        sh_in '[ "$(cat d/f n)" = "one
x" ]; echo mine >d/f'
        "$PADDOCK" run -n other sh -ec '[ "$(cat d/f)" = other ]; [ ! -e n ]'
        "$PADDOCK" rm env
        "$PADDOCK" gc
        "$PADDOCK" run -n other sh -ec '[ "$(cat d/f)" = other ]'
        run "$PADDOCK" diff other
        expect_output "M  $HOME/d/f  (content)"
}

@test "gc: only what nothing holds" {
        needs_user
        sh_in 'echo 1 >f'
        "$PADDOCK" snapshot env one
        sh_in 'echo 2 >f'
        "$PADDOCK" clone env other
        [ "$(frozen_count)" = 2 ]
        run "$PADDOCK" gc
        expect_output '0 layers removed'
        "$PADDOCK" rm other
        "$PADDOCK" reset env one
        run "$PADDOCK" gc
        expect_output '1 layer removed'
        sh_in '[ "$(cat f)" = 1 ]'
        "$PADDOCK" discard env
        "$PADDOCK" gc
        [ "$(frozen_count)" = 1 ]
        "$PADDOCK" reset env one
        sh_in '[ "$(cat f)" = 1 ]'
        "$PADDOCK" rm env
        "$PADDOCK" gc
        [ "$(frozen_count)" = 0 ]
        nothing_left
}

@test "snapshot: a commit from several layers" {
        needs_user
        mkdir d && echo base >d/f && echo base >g && echo base >h && tick
        sh_in 'echo one >d/f; rm g; echo x >n'
        "$PADDOCK" snapshot env one
        sh_in 'echo two >d/f; echo back >g; rm h; mkdir m; echo y >m/f'
        "$PADDOCK" snapshot env two
        sh_in 'echo three >>d/f'
        env_run $TREES show . >"$PLACE/inside"
        run "$PADDOCK" commit env
        expect_status 0
        $TREES show . | diff "$PLACE/inside" -
        no_changes
        "$PADDOCK" reset env one
        sh_in '[ "$(cat d/f)" = one ]'
        fails 'held by a snapshot' discard env d/f
}

@test "snapshot: random changes between many, and every one comes back" {
        needs_user
        for seed in 61 62; do
                sweep
                mkdir t
                $TREES make "$seed" t
                for i in 1 2 3 4 5 6; do
                        env_run $TREES change "$seed$i" t
                        shown env t >"$PLACE/state$i"
                        "$PADDOCK" snapshot env "s$i"
                        shown env t | diff "$PLACE/state$i" -
                done
                for i in 3 6 1 5; do
                        "$PADDOCK" reset env "s$i"
                        shown env t | diff "$PLACE/state$i" -
                        "$PADDOCK" clone env "c$i"
                        shown "c$i" t | diff "$PLACE/state$i" -
                        env_run $TREES change "9$i" t
                done
                "$PADDOCK" gc
                shown c1 t | diff "$PLACE/state1" -
        done
}

@test "snapshot: killed at every change that it makes, the environment shows the same" {
        needs_user
        strace -o /dev/null true 2>/dev/null || skip 'no strace'
        for call in mkdirat renameat2 renameat fsync syncfs openat; do
                for when in 1 2 4 8 40; do
                        sweep
                        sh_in 'mkdir d; echo 1 >d/f; echo 2 >g'
                        shown env . >"$PLACE/before"
                        strace -f -o /dev/null -e trace=none -e inject="$call":signal=KILL:when="$when" "$PADDOCK" snapshot env one >/dev/null 2>&1 || true
                        shown env . | diff "$PLACE/before" -
                        [ -e "$XDG_STATE_HOME/paddock/env/env/snapshot/one" ] || "$PADDOCK" snapshot env one
                        sh_in 'rm -r d g'
                        strace -f -o /dev/null -e trace=none -e inject="$call":signal=KILL:when="$when" "$PADDOCK" reset env one >/dev/null 2>&1 || true
                        "$PADDOCK" reset env one
                        shown env . | diff "$PLACE/before" -
                done
        done
}

# --- space -----------------------------------------------------------------------------------------------------------

@test "space: list and show tell the size of a layer, and of what it shares" {
        needs_user
        sh_in 'head -c 1000000 /dev/zero >f; ln f g; mkdir d; head -c 500000 /dev/zero >d/f; chmod 0 d'
        size() { "$PADDOCK" list --size --json | /usr/bin/python3 -c 'import json, sys; j = json.load(sys.stdin)[0]; print(j["size"], j["shared"])'; }
        read -r own shared < <(size)
        [ "$own" -ge 1500000 ] && [ "$own" -lt 1700000 ] && [ "$shared" = 0 ]
        "$PADDOCK" snapshot env one
        sh_in 'head -c 200000 /dev/zero >h'
        read -r own shared < <(size)
        [ "$own" -ge 200000 ] && [ "$own" -lt 400000 ] && [ "$shared" -ge 1500000 ]
        run "$PADDOCK" show env
        expect_match '# size: .*KiB, and 1\.[0-9] MiB that may be shared'
        run "$PADDOCK" list --size
        expect_match 'env +stopped +[0-9.]+ KiB +1\.[0-9] MiB'
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# snapshot.bats - `paddock snapshot`, `reset`, `clone`, `gc`: states kept, taken up again, shared, and let go.

load common
load layers


# Real root's layers lie under a range of ids: they have a test of their own.
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

# runs SCRIPT - the environment `env` with it, until $OUT/end is there.
runs()
{
        start inside -n env ${AS:+--as "$AS"} --share "$OUT" sh -c "$1"'
                touch "$OUT/on"; until [ -e "$OUT/end" ]; do sleep 0.05; done'
        eventually test -e "$OUT/on"
}
ends() { touch "$OUT/end" && ends_with 0; }

@test "snapshot: of a running environment, whose programs are stopped for a moment and go on" {
        needs_user
        mkdir d && echo base >d/f && echo base >g && tick
        # Both files are written one after the other, for ever: a moment's copy has the same in both, or the first is one ahead.
        runs 'echo in >d/f; rm g; ln d/f hard; mkfifo p; chmod 0 d
                (i=0; while :; do i=$((i+1)); echo $i >a.new; mv a.new a; echo $i >b.new; mv b.new b; done) &
                (sleep 100 & sleep 0.3; kill -STOP $!; wait) &'
        for i in 1 2 3 4 5 6; do
                sleep 0.1
                run untouched "$HOME" "$PADDOCK" clone env "c$i"
                expect_status 0
                expect_match 'its programs were stopped for [0-9]+\.[0-9] ms'
                "$PADDOCK" run -n "c$i" sh -ec 'a=$(cat a); b=$(cat b); [ $((a - b)) = 0 ] || [ $((a - b)) = 1 ]; [ ! -e g ]; [ -p p ]; [ "$(stat -c %a d)" = 0 ]
                        chmod 700 d; [ "$(cat d/f)" = in ]; [ d/f -ef hard ]'
        done
        "$PADDOCK" snapshot env one
        before=$("$PADDOCK" run -n env cat a)
        sleep 0.2
        [ "$("$PADDOCK" run -n env cat a)" -gt "$before" ] # it goes on
        "$PADDOCK" run -n c6 true
        # What was stopped before still is, and nothing else.
        [ "$(for p in $(pgrep -u "$(id -un)" -fx 'sleep 100'); do sed -n 's/^State:.\(.\).*/\1/p' /proc/$p/status; done | sort -u)" = T ]
        fails 'is running' reset env one
        ends
        "$PADDOCK" reset env one
        sh_in '[ "$(cat hard)" = in ] && [ "$(cat a)" -ge 1 ]'
}

@test "snapshot: of a running environment, what a commit proves stays proven, and what it does not, too" {
        needs_user
        echo base >f && echo base >g && echo base >h && tick
        runs 'echo in >>f; echo in >>g; rm h; sleep 0.1;'
        tick
        echo outside >g
        tick
        "$PADDOCK" clone env other
        fails "g: it was changed outside since" commit other
        "$PADDOCK" commit other f h
        [ "$(cat f)" = 'base
in' ] && [ ! -e h ] && [ "$(cat g)" = outside ]
        ends
}

@test "snapshot: several runs of one name, and one that makes processes all the time" {
        needs_user
        runs '(while :; do sh -c "sh -c : & wait"; echo x >>many; done) &'
        start inside -n env sh -c 'i=0; while [ ! -e "$OUT/end" ]; do i=$((i+1)); echo $i >second; done'
        second=$started
        eventually "$PADDOCK" run -n env test -e second
        for i in 1 2 3; do
                run "$PADDOCK" snapshot env "s$i"
                expect_status 0
                sleep 0.1
        done
        one=$("$PADDOCK" run -n env sh -c 'wc -c <many')
        eventually sh -c "[ \"\$($PADDOCK run -n env sh -c 'wc -c <many')\" -gt $one ]"
        touch "$OUT/end"
        wait "$second"
        "$PADDOCK" reset env s2 || sleep 1
        eventually "$PADDOCK" reset env s2
        sh_in '[ "$(wc -c <many)" -ge 2 ] && [ -e second ]'
}

@test "snapshot: whoever stops the programs is killed, and they go on" {
        needs_user
        strace -o /dev/null true 2>/dev/null || skip 'no strace'
        runs 'i=0; (while :; do i=$((i+1)); echo $i >a; done) &'
        for call in mkdirat openat fchmod syncfs renameat; do
                for when in 1 5 20; do
                        strace -f -o /dev/null -e trace=none -e inject="$call":signal=KILL:when="$when" "$PADDOCK" snapshot env "$call$when" >/dev/null 2>&1 || true
                        before=$("$PADDOCK" run -n env cat a)
                        eventually sh -c "[ \"\$($PADDOCK run -n env cat a)\" != \"$before\" ]"
                done
        done
        "$PADDOCK" gc >/dev/null
        "$PADDOCK" snapshot env last
        ends
        "$PADDOCK" reset env last
        sh_in '[ -e a ]'
}

@test "snapshot: in a terminal nobody hears of the stopping" {
        needs_user
        "$PADDOCK" create env
        ( sleep 1; "$PADDOCK" snapshot env one 2>"$OUT/says" ) 3>&- 4>&- &
        second=$!
        run timeout 30 $PTY -- "$PADDOCK" run -n env sh -c 'set -m; (sleep 2; echo job ended) & wait; echo all ended'
        wait "$second"
        expect_match 'job ended.*all ended'
        [[ $output != *[Ss]topped* ]]
        grep -q 'were stopped for' "$OUT/says"
}

@test "snapshot: environments in which the user is root" {
        needs_user
        [ -r /dev/fuse ] && [ -w /dev/fuse ] && command -v newuidmap >/dev/null && grep -q "^$(id -un):" /etc/subuid || skip 'no root inside here'
        "$PADDOCK" run -n env --as root -- sh -ec 'echo one >/etc/paddock-x; chown 33:42 /etc/paddock-x; mkdir -m 700 /srv/d; chown 5 /srv/d; rm /etc/issue; echo f >/srv/d/f'
        "$PADDOCK" snapshot env one
        env_run sh -ec '[ "$(stat -c %u:%g /etc/paddock-x)" = 33:42 ]; [ ! -e /etc/issue ]; echo two >/etc/paddock-x; rm -r /srv/d; chown 7 /etc/hosts'
        "$PADDOCK" diff env >"$PLACE/two"
        "$PADDOCK" clone env other
        "$PADDOCK" diff other | diff "$PLACE/two" -
        "$PADDOCK" reset env one
        env_run sh -ec '[ "$(cat /etc/paddock-x)" = one ]; [ "$(stat -c %u:%a /srv/d)" = 5:700 ]; [ "$(stat -c %u /etc/hosts)" = 0 ]'
        "$PADDOCK" run -n other -- sh -ec '[ "$(cat /etc/paddock-x)" = two ]; [ ! -e /srv/d ]; [ "$(stat -c %u /etc/hosts)" = 7 ]'
        AS=root runs 'echo run >/etc/paddock-x; su -s /bin/sh daemon -c "sleep 100" &'
        "$PADDOCK" clone env third
        ends
        "$PADDOCK" run -n third -- sh -ec '[ "$(cat /etc/paddock-x)" = run ]; [ "$(stat -c %u:%g /etc/paddock-x)" = 33:42 ]; [ "$(stat -c %u:%a /srv/d)" = 5:700 ]'
        "$PADDOCK" commit third /etc --to "$OUT/t.tar"
        tar --numeric-owner -tvf "$OUT/t.tar" | grep -E ' 33/42 .*etc/paddock-x'
        "$PADDOCK" rm env && "$PADDOCK" rm other && "$PADDOCK" rm third && "$PADDOCK" gc
        [ "$(frozen_count)" = 0 ]
        nothing_left
}

@test "snapshot: environments inside an environment that lies over a frozen layer" {
        needs_user
        echo base >f
        sh_in 'echo one >f'
        "$PADDOCK" snapshot env one
        # The kernel stacks two overlays, and both are used: it says so, and what needs no layer of its own works.
        run env_run "$PADDOCK" run -- sh -c 'cat f; echo in >f && cat f'
        if [ "$status" = 0 ]; then
                expect_match 'one.*in'
        else
                expect_match 'paddock: cannot mount the layer.*two overlays on each other and no third'
        fi
        sh_in '[ "$(cat f)" = one ]'
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

@test "space: a limit is watched, told when it is passed, and never said to be enforced" {
        needs_user
        "$PADDOCK" create env
        run "$PADDOCK" run -n env --limit disk=500K sh -ec 'head -c 100000 /dev/urandom >f; ls /proc/self/fd'
        expect_status 0
        expect_output "$("$PADDOCK" run -n env ls /proc/self/fd)" # it is handed no descriptor more
        run "$PADDOCK" run -n env sh -ec 'head -c 900000 /dev/urandom >g'
        expect_status 0
        [[ $output != *limit* ]] # that limit was of one run
        printf 'name: lim\nlimits: {disk: 500K}\n' >"$OUT/d.yaml"
        "$PADDOCK" create -f "$OUT/d.yaml"
        run "$PADDOCK" run -n lim -- sh -ec 'mkdir d; head -c 900000 /dev/urandom >d/f; chmod 0 d/f d; echo works'
        expect_status 0
        expect_match 'works'
        expect_match "paddock: the layer of 'lim' takes .* [KM]iB, more than its limit of 500.0 KiB, which is watched and not enforced"
        run "$PADDOCK" show lim
        expect_match '# size: .*its limit of 500.0 KiB is passed \(watched, not enforced\)'
        expect_match 'limits: \{disk: 500K\}'
        run "$PADDOCK" list --size
        expect_match 'lim +stopped .* 500.0 KiB, which is passed'
        "$PADDOCK" list --size --json | grep -q '"limit": 512000'
        run "$PADDOCK" run --explain -n lim true
        expect_match "limit of 500K is watched, and told when it is passed; nobody enforces it"
        fails "'lots' is no size" run --limit disk=lots true
        fails 'takes the form WHAT=VALUE' run --limit disc=1G true
        # While it runs, too.
        start inside -n lim sh -c 'touch "$OUT/on"; chmod 700 d; head -c 100000 /dev/urandom >d/g; until [ -e "$OUT/end" ]; do sleep 0.1; done' 2>"$OUT/says"
        eventually grep -q 'more than its limit' "$OUT/says"
        "$PADDOCK" rm lim 2>/dev/null && false
        kill "$started"
        wait "$started" || true
        eventually "$PADDOCK" rm lim
}

@test "snapshot: of real root's, before the first run, and back to nothing" {
        is_root || skip 'of real root'
        "$PADDOCK" create env
        "$PADDOCK" snapshot env empty
        sh_in 'echo x >f'
        "$PADDOCK" reset env empty
        no_changes
        sh_in '[ ! -e f ]; echo y >f'
        expect_changes 'A  f'
}

@test "snapshot: environments of real root, whose clones have the ids of what they share" {
        is_root || skip 'of real root'
        run "$PADDOCK" run -n env true
        [ "$(stat -c %u "$XDG_STATE_HOME/paddock/env/env")" -ge 1879048192 ] || skip 'no ids of its own here'
        mkdir d && echo base >d/f && echo base >g
        sh_in 'echo one >d/f; chown 33:42 d/f; rm g; echo n >n; chmod 600 n; mkdir -m 700 p; chown 5 p'
        untouched "$HOME" "$PADDOCK" snapshot env one
        sh_in '[ "$(stat -c %u:%g d/f)" = 33:42 ]; [ "$(stat -c %u:%a p)" = 5:700 ]; [ "$(cat d/f n)" = "one
n" ]; [ ! -e g ]; echo two >d/f; rm n; echo back >g'
        "$PADDOCK" diff env >"$PLACE/two"
        "$PADDOCK" clone env other
        "$PADDOCK" diff other | diff "$PLACE/two" -
        [ "$(stat -c %u "$XDG_STATE_HOME/paddock/env/env")" = "$(stat -c %u "$XDG_STATE_HOME/paddock/env/other")" ]
        "$PADDOCK" run -n other -- sh -ec '[ "$(cat d/f g)" = "two
back" ]; [ "$(stat -c %u:%g d/f)" = 33:42 ]; echo other >d/f; rmdir p'
        untouched "$HOME" "$PADDOCK" reset env one
        sh_in '[ "$(cat d/f n)" = "one
n" ]; [ ! -e g ]; [ "$(stat -c %u:%g:%a d/f n p | tr "\n" " ")" = "33:42:644 0:0:600 5:0:700 " ]'
        "$PADDOCK" discard env
        no_changes
        sh_in '[ "$(cat d/f g)" = "base
base" ]'
        "$PADDOCK" run -n other -- sh -ec '[ "$(cat d/f)" = other ]; [ ! -e p ]'
        "$PADDOCK" rm env && "$PADDOCK" rm other && "$PADDOCK" gc
        [ "$(frozen_count)" = 0 ]
        nothing_left
}

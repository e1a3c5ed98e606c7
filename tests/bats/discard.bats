#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# discard.bats - `paddock discard`: changes thrown away, some or all; what is left is as it was.

load common
load layers

@test "discard: everything; nothing of it is left on disk" {
        mkdir d && echo x >d/f
        sh_in 'echo y >d/f; mkdir e; touch e/g; rm -r d; mkdir d'
        untouched "$HOME" "$PADDOCK" discard env
        no_changes
        env_run test -e d/f -a ! -e e
        nothing_left
        "$PADDOCK" discard env
        "$PADDOCK" discard env
        no_changes
}

@test "discard: an environment that never ran, or is not there, or none" {
        "$PADDOCK" create env
        "$PADDOCK" discard env
        fails "there is no environment 'nobody'" discard nobody
        fails 'which environment' discard
}

# case PREPARE CHANGE PATH [LINE...] - after discarding PATH these changes are left, and inside PATH is as outside.
case_of()
{
        local prepare=$1 change=$2 path=$3

        shift 3
        sweep
        (cd "$HOME" && sh -ec "$prepare")
        (cd "$HOME" && sh_in "$change")
        (cd "$HOME" && untouched "$HOME" "$PADDOCK" discard env "$path") &&
                if [ $# = 0 ]; then no_changes; else expect_changes "$@"; fi &&
                if [ -e "$path" ]; then
                        diff <($TREES show "$path" 2>/dev/null || cat "$path") <(env_run $TREES show "$path" 2>/dev/null || env_run cat "$path")
                fi || { echo "prepared: $prepare; inside: $change; discarded: $path" >&2; return 1; }
}

@test "discard: single paths" {
        case_of 'echo x >f; echo y >g' 'echo z >f; echo z >g' f 'M  g  (content)'
        case_of 'echo x >f' 'rm f; touch g' f 'A  g'
        case_of '' 'touch f g' f 'A  g'
        case_of 'mkdir d; touch d/f' 'rm -r d' d
        case_of 'mkdir d; touch d/f' 'rm -r d; echo x >d' d
        case_of 'mkdir d; touch d/f' 'rm d/f; touch d/g' d
        case_of 'mkdir d; touch d/f' 'rm d/f; touch d/g' d/f 'A  d/g'
        case_of 'echo x >f' 'rm f; mkdir f; touch f/g' f
        case_of '' 'mkdir -p a/b/c; touch a/b/c/f a/x' a/b 'A  a/' 'A  a/x'
        case_of 'mkdir d' 'chmod 700 d; touch d/f' d/f 'M  d/  (mode 755 -> 700)'
        case_of 'echo x >f' 'echo y >f; ln f g' g 'M  f  (content)'
        case_of '' 'mkdir d; touch d/f; chmod 0 d' d
        case_of '' 'mkdir -p d/e; touch d/e/f; chmod 555 d' d/e/f 'A  d/' 'A  d/e/'
}

@test "discard: names of a directory that was replaced come back alone" {
        case_of 'mkdir d; echo 1 >d/a; echo 2 >d/b' 'rm -r d; mkdir d; echo 3 >d/c' d/a 'D  d/b' 'A  d/c'
        case_of 'mkdir d; echo 1 >d/a; echo 2 >d/b' 'rm -r d; mkdir d; echo 3 >d/a' d/a 'D  d/b'
        case_of 'mkdir -p d/e/f; echo 1 >d/e/f/g; echo 2 >d/h; echo 3 >d/e/i' 'rm -r d; mkdir -p d/e/f' d/e/f/g 'D  d/e/i' 'D  d/h'
        case_of 'mkdir -p d/e; echo 1 >d/e/g; echo 2 >d/h' 'rm -r d; mkdir -p d/e' d/h 'D  d/e/g'
}

@test "discard: what was deleted as a whole comes back as a whole" {
        mkdir d && touch d/f d/g
        sh_in 'rm -r d'
        fails 'a directory above it was deleted as a whole' discard env d/f
        expect_changes 'D  d/'
        "$PADDOCK" discard env d
        no_changes
}

@test "discard: a path without changes is named, the others go" {
        echo x >f && sh_in 'echo y >f; echo z >g'
        fails "has no change at or below $HOME/none" discard env none f
        expect_changes 'A  g'
}

@test "discard: places of the environment's own" {
        mkdir own && touch own/outside && echo file >file
        "$PADDOCK" run -n env --empty "$HOME/own" --private "$HOME/file" sh -ec 'touch own/a own/b; echo x >>file'
        "$PADDOCK" discard env own/a
        expect_changes 'M  file  (content)' 'A  own/b'
        "$PADDOCK" discard env own file
        no_changes
        "$PADDOCK" run -n env --empty "$HOME/own" --private "$HOME/file" sh -ec '[ -z "$(ls own)" ]; [ "$(cat file)" = file ]'
}

@test "discard: a running environment is refused, and told why" {
        start inside -n env --share "$OUT" sh -c 'touch f; touch "$OUT/on"; until [ -e "$OUT/end" ]; do sleep 0.05; done'
        eventually test -e "$OUT/on"
        fails 'is running.*the kernel does not allow to change a layer while it is in use' discard env
        fails 'is running' discard env f
        touch "$OUT/end"
        ends_with 0
        "$PADDOCK" discard env
        no_changes
}

@test "discard: the environment goes on as if the discarded had never been" {
        for seed in 11 12 13 14; do
                sweep
                mkdir t u
                $TREES make "$seed" t
                $TREES make "$seed" u
                env_run $TREES change "$seed" t
                env_run $TREES change "$seed" u
                env_run $TREES show u >"$PLACE/u"
                "$PADDOCK" discard env t
                diff <($TREES show t) <(env_run $TREES show t)
                env_run $TREES show u | diff "$PLACE/u" -
                env_run $TREES change "$seed" t
                "$PADDOCK" discard env
                no_changes
                diff <($TREES show u) <(env_run $TREES show u)
        done
}

@test "discard: killed at any moment, a path is as it was or as outside" {
        mkdir d && touch d/outside
        for try in 1 2 3 4 5 6 7 8; do
                sh_in 'rm -rf d; mkdir d; i=0; while [ $i -lt 150 ]; do mkdir -p d/$((i%7)); : >d/$((i%7))/$i; i=$((i+1)); done'
                before=$(env_run find d | sort)
                start "$PADDOCK" discard env d
                sleep "0.00$try"
                kill -KILL "$started" 2>/dev/null || true
                wait "$started" 2>/dev/null || true
                after=$(env_run find d | sort)
                [ "$after" = "$before" ] || [ "$after" = "$(find d | sort)" ]
                "$PADDOCK" discard env
                no_changes
        done
}

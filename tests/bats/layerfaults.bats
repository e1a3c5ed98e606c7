#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# layerfaults.bats - layers under bad conditions: damaged by hand, cut off at every system call, on a full disk, and carried to a
# file system that cannot hold what they have.

load common
load layers

needs_user() { ! is_root || skip 'of an ordinary user'; }
state() { echo "$XDG_STATE_HOME/paddock/$1"; }
slot_of() { grep -lx "changes $1" "$XDG_STATE_HOME"/paddock/env/env/layer/*/path | xargs dirname; }

@test "layer faults: damaged by hand, it is named, and the rest is saved" {
        needs_user
        mkdir -p /var/tmp/paddock-damage.$$ && OTHER=/var/tmp/paddock-damage.$$
        "$PADDOCK" run -n env --private "$OUT" sh -ec 'echo x >f; echo y >"$OUT/g"'
        # The record of what one part covers.
        echo rubbish >"$(slot_of "$OUT")/cover"
        run "$PADDOCK" diff env
        expect_status 125
        expect_match "$OUT: the record of what this part of the layer covers is damaged"
        expect_match "A  $HOME/f"
        expect_match "A  $OUT/g"
        fails 'damaged.*nothing was committed' commit env
        "$PADDOCK" commit env f && [ "$(cat f)" = x ]
        "$PADDOCK" run -n env --private "$OUT" cat "$OUT/g" # and a run repairs it
        "$PADDOCK" diff env
        # Its directory of changes.
        mv "$(slot_of "$OUT")/upper" "$PLACE/saved"
        run "$PADDOCK" diff env
        expect_status 125
        expect_match "$OUT: this part of the layer has lost its directory of changes"
        mv "$PLACE/saved" "$(slot_of "$OUT")/upper"
        # Which part it is.
        path=$(slot_of "$OUT")/path
        echo rubbish >"$path"
        for verb in 'diff env' 'commit env' 'discard env f' 'export env -' 'run -n env true'; do
                fails 'path is damaged' $verb
        done
        echo "changes $OUT" >"$path"
        # A part that was begun and never completed is none.
        mkdir "$(state env/env/layer/77)"
        "$PADDOCK" diff env
        # The record of the environment.
        cp "$(state env/env/environment)" "$PLACE/record"
        echo rubbish >"$(state env/env/environment)"
        for verb in 'diff env' 'commit env' 'snapshot env x' 'clone env y' 'export env -' 'run -n env true' 'show env'; do
                fails "is not an environment's record" $verb
        done
        cp "$PLACE/record" "$(state env/env/environment)"
        [ "$("$PADDOCK" run -n env --private "$OUT" cat "$OUT/g")" = y ]
        rmdir "$OTHER"
}

@test "layer faults: a frozen layer that is lost is named, and what is left can be saved" {
        needs_user
        sh_in 'echo 1 >f'
        "$PADDOCK" snapshot env one
        sh_in 'echo 2 >g'
        "$PADDOCK" snapshot env two
        sh_in 'echo 3 >h'
        id=$(head -1 "$(state env/env/snapshot/two)")
        mv "$(state "frozen/$id")" "$PLACE/lost"
        run "$PADDOCK" diff env
        expect_status 125
        expect_match 'a frozen layer that the environment lies over is not there, and what it held is lost'
        expect_match 'A  .*/h'
        expect_match 'A  .*/f'
        fails "env.: it lies over the frozen layer $id, which is not there" run -n env true
        fails 'not there|No such file' snapshot env three
        fails 'not there|No such file' clone env other
        fails 'No such file' export env -
        fails 'not there|No such file' reset env two
        "$PADDOCK" commit env --to "$OUT/rest.tar" || true
        tar -tf "$OUT/rest.tar" | grep -q '/h$'
        mv "$PLACE/lost" "$(state "frozen/$id")"
        sh_in '[ "$(cat f g h | tr -d "\n")" = 123 ]'
        echo 'not an id' >"$(state env/env/layer/chain)"
        for verb in 'diff env' 'run -n env true' 'snapshot env three' 'export env -'; do
                fails 'the chain of layers is damaged' $verb
        done
        "$PADDOCK" reset env one && sh_in '[ "$(cat f)" = 1 ]' || "$PADDOCK" discard env
}

@test "layer faults: discard and clone killed at every change that they make" {
        needs_user
        strace -o /dev/null true 2>/dev/null || skip 'no strace'
        for call in mkdirat renameat renameat2 mknodat fsetxattr openat unlinkat; do
                for when in 1 2 3 5 9; do
                        sweep
                        mkdir -p d/sub && echo out >d/sub/f && echo out >d/g && echo out >k && tick
                        sh_in 'rm -r d; mkdir d; echo in >d/new; mkdir d/sub; echo in >d/sub/f; echo in >k'
                        strace -f -o /dev/null -e trace=none -e inject="$call":signal=KILL:when="$when" "$PADDOCK" discard env d/sub >/dev/null 2>&1 || true
                        # As it was, or as outside; and all else as it was.
                        env_run sh -ec '[ "$(cat d/new k | tr "\n" " ")" = "in in " ]; [ "$(cat d/sub/f)" = in ] || [ "$(cat d/sub/f)" = out ]; [ ! -e d/g ]' ||
                                { echo "discard cut off at $call $when" >&2; return 1; }
                        "$PADDOCK" discard env d/sub 2>/dev/null || true
                        env_run sh -ec '[ "$(cat d/new d/sub/f k | tr "\n" " ")" = "in out in " ]; [ ! -e d/g ]'
                        env_run $TREES show . >"$PLACE/inside"
                        strace -f -o /dev/null -e trace=none -e inject="$call":signal=KILL:when="$when" "$PADDOCK" clone env other >/dev/null 2>&1 || true
                        env_run $TREES show . | diff "$PLACE/inside" - || { echo "clone cut off at $call $when" >&2; return 1; }
                        [ -e "$(state env/other)" ] || "$PADDOCK" clone env other
                        "$PADDOCK" run -n other $TREES show . | diff "$PLACE/inside" -
                        "$PADDOCK" rm other && "$PADDOCK" gc >/dev/null
                done
        done
}

@test "layer faults: a full disk below the state directory: nothing changes, or all of it" {
        is_root || skip 'needs a small file system'
        unshare -m true || skip 'no mount namespace'
        command -v setpriv >/dev/null || skip 'no setpriv'
        chmod 755 "$PLACE" && chown 64987:64987 "$HOME" "$OUT"
        export STATE=$XDG_STATE_HOME
        unshare -m bash -ec '
                mount -t tmpfs -o size=4m,mode=0700,uid=64987,gid=64987 small "$STATE"
                exec setpriv --reuid=64987 --regid=64987 --clear-groups bash -ec "$1"' - '
                cd "$HOME"
                mkdir d && for i in 1 2 3 4 5 6 7 8; do echo base >d/$i; done && sleep 0.02
                "$PADDOCK" run -n env sh -ec "for i in 1 2 3 4 5 6 7 8; do echo in >d/\$i; done; echo new >n; mkdir d/dir; rm d/8" || exit 77
                "$PADDOCK" diff env >"$OUT/before"
                "$PADDOCK" export env "$OUT/e.tar"
                head -c 10000000 /dev/zero >"$STATE/fill" 2>/dev/null || true
                for verb in "commit env" "snapshot env one" "clone env other" "import $OUT/e.tar third" "reset env one" "discard env d/1"; do
                        code=0
                        "$PADDOCK" $verb >"$OUT/says" 2>&1 || code=$?
                        case $code in
                        0) done="$done $verb;" ;;
                        125) grep -q "^paddock: " "$OUT/says" ;;
                        *) echo "$verb: $code"; exit 1 ;;
                        esac
                        case $verb in
                        commit*) [ $code = 125 ] && [ "$(cat d/1)" = base ] || [ "$(cat d/1)" = in ] ;;
                        esac
                done
                echo "done though the disk is full:$done"
                rm "$STATE/fill"
                "$PADDOCK" commit env
                [ "$(cat d/[1-7] n | sort -u | tr "\n" " ")" = "in new " ] && [ -d d/dir ] && [ ! -e d/8 ] || [ "$(cat d/1)" = base ]
                "$PADDOCK" diff env >"$OUT/after"
                [ ! -s "$OUT/after" ]
                for name in env other third; do "$PADDOCK" rm $name 2>/dev/null || true; done
                "$PADDOCK" gc
                [ -z "$(ls "$STATE/paddock/frozen" 2>/dev/null)" ]' || { [ $? = 77 ] && skip 'no layer on a tmpfs here'; return 1; }
}

@test "layer faults: a target without extended attributes: what it cannot hold is named, the rest is committed" {
        is_root || skip 'needs a file system of another kind'
        unshare -m true || skip 'no mount namespace'
        command -v setpriv >/dev/null || skip 'no setpriv'
        mkdir "$HOME/t" && chmod 755 "$PLACE" && chown -R 64987:64987 "$HOME" "$XDG_STATE_HOME" "$OUT"
        unshare -m bash -ec '
                mount -t ramfs none "$HOME/t" && chown 64987:64987 "$HOME/t"
                exec setpriv --reuid=64987 --regid=64987 --clear-groups bash -ec "$1"' - '
                cd "$HOME"
                echo base >t/f; echo base >t/g; mkdir t/d; sleep 0.02
                "$PADDOCK" run -n env --private "$HOME/t" sh -ec "echo in >t/f; echo n >t/n; setfattr -n user.a -v b t/g; rm -r t/d"
                code=0
                "$PADDOCK" commit env 2>"$OUT/says" || code=$?
                [ $code = 125 ]
                grep -q "/t/g: cannot give it its extended attributes: Operation not supported" "$OUT/says"
                [ "$(cat t/f t/g t/n | tr "\n" " ")" = "in base n " ] && [ ! -e t/d ]
                [ "$("$PADDOCK" diff env)" = "M  $HOME/t/g  (attributes)" ]'
}

@test "layer faults: commits, snapshots, clones and runs of one name at once" {
        needs_user
        mkdir d && for i in $(seq 100); do echo base >d/$i; done && tick
        sh_in 'for i in $(seq 100); do echo in >d/$i; done'
        pids=()
        for try in 1 2 3; do
                for verb in 'commit env d' "snapshot env s$try" "clone env c$try" 'diff env' 'run -n env true' 'gc' "export env $OUT/$try.tar"; do
                        "$PADDOCK" $verb >>"$OUT/all" 2>&1 3>&- 4>&- &
                        pids+=("$!")
                done
        done
        for pid in "${pids[@]}"; do
                code=0
                wait "$pid" || code=$?
                [ "$code" = 0 ] || [ "$code" = 125 ]
        done
        "$PADDOCK" commit env
        [ "$(cat d/* | sort | uniq -c | tr -s ' ')" = ' 100 in' ]
        sh_in '[ "$(cat d/* | sort -u)" = in ]'
        for name in $("$PADDOCK" list | sed '1d; s/ .*//'); do
                [ "$("$PADDOCK" run -n "$name" sh -c 'cat d/* | sort -u')" = in ]
        done
        for file in "$OUT"/*.tar; do
                [ ! -e "$file" ] || "$PADDOCK" import "$file" "i$(basename "$file" .tar)"
        done
        nothing_of_ours .
}

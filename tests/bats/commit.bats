#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# commit.bats - `paddock commit`: what was chosen goes to the outside, exactly, whole or not at all; what may not go is refused by
# name; and whatever is cut off comes to the same end.

load common
load layers

commits() { run "$PADDOCK" commit env "$@"; expect_status 0; }

# equal - the home directory inside and outside is the same.
equal() { diff <(cd "$HOME" && $TREES show .) <(cd "$HOME" && env_run $TREES show .) >&2; }

# one PREPARE CHANGE - after PREPARE outside and CHANGE inside, a commit makes the outside what the inside was.
one()
{
        sweep
        (cd "$HOME" && sh -ec "$1")
        tick
        (cd "$HOME" && sh_in "$2" && env_run $TREES show .) >"$PLACE/inside"
        (cd "$HOME" && commits && $TREES show . | diff "$PLACE/inside" - && no_changes && equal && nothing_of_ours .) ||
                { echo "prepared: $1; inside: $2" >&2; return 1; }
}

# --- what it does ----------------------------------------------------------------------------------------------------

@test "commit: files" {
        one '' 'echo x >f'
        one 'echo x >f' 'echo y >f'
        one 'echo x >f' 'rm f'
        one 'echo x >f' 'mv f g'
        one 'echo x >f' 'rm f; echo y >f; chmod 4711 f'
        one '' 'truncate -s 10M f; echo x >>f'
        one '' 'echo x >f; setfattr -n user.a -v b f'
        one 'echo x >f; setfattr -n user.a -v b f' 'setfattr -x user.a f; setfattr -n user.c -v d f'
        one 'echo x >f' "setfacl -m u:$(id -u):rw f"
        one "echo x >f; setfacl -m u:$(id -u):rw f" 'setfacl -b f'
        one 'echo x >f' 'chmod 0 f; chmod 644 f; touch -d 2000-01-01 f; echo >>f; touch -d 2000-01-02T00:00:00.123456789 f'
        one '' 'touch -- "a
b" "-n" "$(printf "\377")"'
}

@test "commit: links, fifos, sockets" {
        one '' 'ln -s a l'
        one 'ln -s a l' 'ln -sfn b l'
        one 'ln -s a l' 'rm l'
        one '' 'mkfifo -m 600 p'
        one '' 'echo x >a; ln a b; mkdir d; ln a d/c'
        one 'echo x >a' 'ln a b'
        one 'echo x >b' 'ln b a'
        one 'mkdir d; echo x >d/a' 'ln d/a d/b; echo y >>d/b'
        one '' 'mkdir -p n/m; echo x >n/a; ln n/a n/m/b; ln n/a z'
        one '' '/usr/bin/python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\"s\")"'
}

@test "commit: directories" {
        one '' 'mkdir -m 700 d; mkdir d/e; touch d/e/f'
        one 'mkdir -p d/e; touch d/e/f' 'rm -r d'
        one 'mkdir d; touch d/f d/g' 'rm -r d; mkdir d; touch d/h'
        one 'mkdir -p d/e/f; touch d/e/f/g d/h' 'rm -r d; mkdir -p d/e'
        one 'mkdir d' 'chmod 2750 d; touch d/f'
        one 'mkdir d' "setfacl -d -m u:$(id -u):rwx d; touch d/f; mkdir d/e"
        one '' 'mkdir -p d/e; touch d/e/f; chmod 555 d/e d'
}

@test "commit: one type for another" {
        one 'echo x >f' 'rm f; mkdir f; touch f/g'
        one 'mkdir -p d/e; touch d/e/f' 'rm -r d; echo y >d'
        one 'echo x >f' 'ln -sf y f'
        one 'ln -s y l' 'rm l; mkdir l'
        one 'mkdir d; touch d/x' 'rm -r d; ln -s x d'
        one 'echo x >f' 'rm f; mkfifo f'
}

@test "commit: files that nobody may read are carried too" {
        sh_in 'echo secret >f; chmod 0 f; mkdir d; echo deep >d/f; chmod 0 d'
        commits
        [ "$(stat -c %a f d | tr '\n' ' ')" = '0 0 ' ]
        chmod 600 f && chmod 700 d
        [ "$(cat f d/f)" = 'secret
deep' ]
}

@test "commit: only what is chosen" {
        mkdir d && echo x >d/f && echo x >g && tick
        sh_in 'echo y >d/f; echo y >g; mkdir -p n/m; touch n/m/f n/x; rm -f z'
        commits d n/m/f
        [ "$(cat d/f g)" = 'y
x' ]
        [ -e n/m/f ] && [ ! -e n/x ]
        expect_changes 'M  g  (content)' 'A  n/x'
        env_run test -e n/x -a -e n/m/f
        fails 'has no change at or below' commit env none
        fails 'nothing was committed' commit env g none
        [ "$(cat g)" = x ]
        commits g n
        no_changes
}

@test "commit: what was chosen and never changed stays as it is" {
        mkdir -p d/sub e && echo base >d/f && echo base >d/sub/g && echo base >g && ln -s g l && tick
        sh_in 'echo in >>d/f'
        for path in g l e d/sub d/sub/g; do
                run untouched "$HOME" "$PADDOCK" commit env "$path"
                expect_status 125
                expect_match "no change at or below $HOME/$path"
                [ -z "$("$PADDOCK" diff env "$path" 2>/dev/null)" ]
        done
        run untouched "$HOME" "$PADDOCK" commit env d/f g
        expect_status 125
        run "$PADDOCK" commit env d
        expect_status 0
        [ "$(cat d/sub/g g l | sort -u)" = base ] && [ -d e ]
}

@test "commit: nothing to do" {
        "$PADDOCK" create env
        commits
        expect_output '0 changes committed'
        fails "there is no environment 'nobody'" commit nobody
        fails 'which environment' commit
}

@test "commit: a dry run tells all and does nothing" {
        echo x >f && echo x >g && tick
        sh_in 'echo y >f; echo y >g; touch h'
        tick && echo z >>g
        run untouched "$HOME" "$PADDOCK" commit --dry-run env
        expect_status 125
        expect_match "M  $HOME/f  \(content\)"
        expect_match "$HOME/g: it was changed outside"
        run untouched "$HOME" "$PADDOCK" commit -n env f h
        expect_status 0
        expect_output "M  $HOME/f  (content)
A  $HOME/h"
}

@test "commit: again and again, each from what the one before made" {
        mkdir d && echo 0 >d/f && tick
        for i in 1 2 3 4 5; do
                sh_in "echo $i >>d/f; rm -f d/g$((i-1)); echo $i >d/g$i; ln -sfn $i d/l; chmod 75$i d"
                commits
                no_changes
                [ "$(tail -1 d/f)" = "$i" ] && [ "$(ls d)" = "f
g$i
l" ]
        done
}

@test "commit: of a running environment" {
        echo x >f && echo x >gone && tick
        start inside -n env --share "$OUT" sh -c 'echo y >f; rm gone; mkdir d; touch d/g "$OUT/on"; until [ -e "$OUT/end" ]; do sleep 0.05; done
                echo z >f; echo back >gone; touch d/h'
        eventually test -e "$OUT/on"
        commits
        [ "$(cat f)" = y ] && [ ! -e gone ] && [ -e d/g ]
        no_changes
        touch "$OUT/end"
        ends_with 0
        commits
        [ "$(cat f gone)" = 'z
back' ] && [ -e d/h ]
        no_changes
}

@test "commit: what comes from elsewhere goes back there" {
        mkdir src && echo x >src/f && tick
        "$PADDOCK" run -n env --from "$HOME/view=$HOME/src" sh -ec 'echo y >view/f; touch view/g'
        commits
        [ "$(cat src/f)" = y ] && [ -e src/g ] && [ ! -e view ]
}

@test "commit: a file of the environment's own, and a directory that began empty" {
        mkdir own && echo outside >own/f && echo x >file && tick
        "$PADDOCK" run -n env --private "$HOME/file" --empty "$HOME/own" sh -ec 'echo y >file; echo mine >own/g; echo mine >own/f'
        commits file
        [ "$(cat file)" = y ]
        fails "$HOME/own/f: the name is there outside, and nobody inside has seen it" commit env own
        commits own/g
        [ "$(cat own/g own/f)" = 'mine
outside' ]
}

# --- what it refuses -------------------------------------------------------------------------------------------------

# What stands at `x` before, what inside and outside make of it.
before_of()
{
        case $1 in
        file) echo base >x ;;
        directory) mkdir x && echo base >x/in ;;
        link) ln -s base x ;;
        absent) ;;
        esac
}
inside_of()
{
        case $1 in
        change) if [ -L x ]; then ln -sfn in x; elif [ -d x ]; then echo in >x/in; else echo in >>x; fi ;;
        delete) rm -r x ;;
        file) rm -rf x && echo inside-file >x ;;
        directory) rm -rf x && mkdir x && echo inside >x/new ;;
        link) rm -rf x && ln -s inside x ;;
        fifo) rm -rf x && mkfifo x ;;
        esac
}
outside_of()
{
        case $1 in
        nothing) ;;
        change) if [ -L x ]; then ln -sfn out x; elif [ -d x ]; then echo out >x/in; else echo out >>x; fi ;;
        delete) rm -r x ;;
        file) rm -rf x && echo outside-file >x ;;
        directory) rm -rf x && mkdir x && echo outside >x/other ;;
        link) rm -rf x && ln -s outside x ;;
        touch) if [ -L x ]; then ln -sfn again x; ln -sfn base x; elif [ -d x ]; then touch x/late; else touch x; fi ;;
        older) # something else takes the place by a rename, older than everything
                rm -rf x && mv "$OUT/older" x ;;
        esac
}

# Conflicts are refused; what is the same on both sides, or left alone outside, is not.
conflicts_of()
{
        local base=$1 inside=$2 outside=$3 before verdict=0

        sweep
        cd "$HOME"
        rm -rf "$OUT/older" && if [ "$base" = directory ]; then mkdir "$OUT/older"; echo base >"$OUT/older/in"; else echo older >"$OUT/older"; fi
        before_of "$base"
        tick
        sh_in "$(declare -f inside_of); inside_of $inside"
        tick
        outside_of "$outside"
        before=$($TREES show .)
        "$PADDOCK" commit env x >"$PLACE/said" 2>&1 || verdict=$?
        # A name that is made anew inside and deleted outside is an addition to a place that is free.
        if [ "$outside" = nothing ] || { [ "$outside" = delete ] && { [ "$inside" != change ] || [ "$base" = link ]; } && [ "$inside" != delete ]; }; then
                [ "$verdict" = 0 ] && equal && return
        elif [ "$outside:$inside" = delete:delete ]; then # alike: no change
                [ "$verdict" = 125 ] && grep -q 'has no change' "$PLACE/said" && return
        elif [ "$verdict" = 125 ]; then
                [ "$($TREES show .)" = "$before" ] && grep -q "$HOME/x" "$PLACE/said" && nothing_of_ours . && return
        elif [ "$verdict" = 0 ]; then # only what outside has left alone was changed
                case $base:$inside:$outside in
                directory:change:touch | directory:delete:touch) ! [ -e x ] || [ -e x/late ] && [ "$inside" = change ] && return ;;
                esac
        fi
        echo "base $base, inside $inside, outside $outside: verdict $verdict" >&2
        cat "$PLACE/said" >&2
        $TREES show . >&2
        return 1
}

matrix_of()
{
        local base=$1 outside
        shift
        for outside in "${outsides[@]}"; do
                for inside in "$@"; do
                        conflicts_of "$base" "$inside" "$outside"
                done
        done
}

@test "commit: the conflict matrix, a file" {
        outsides=(nothing change delete directory link touch older)
        matrix_of file change delete directory link fifo
        outsides=(nothing change directory link)
        matrix_of file file
}

@test "commit: the conflict matrix, a directory" {
        outsides=(nothing change delete file link touch older)
        matrix_of directory change delete file link fifo
}

@test "commit: the conflict matrix, a symbolic link" {
        outsides=(nothing change delete file directory)
        matrix_of link change delete file directory fifo
}

@test "commit: the conflict matrix, a name that was not there" {
        outsides=(nothing file directory link)
        matrix_of absent fifo
        outsides=(nothing directory link)
        matrix_of absent file
        outsides=(nothing file link)
        matrix_of absent directory
        outsides=(nothing file directory)
        matrix_of absent link
}

@test "commit: what was done on both sides alike is no change" {
        echo x >f && echo x >g && tick
        sh_in 'echo y >f; rm g; echo n >n; mkdir d'
        tick
        echo y >f && rm g && echo n >n && mkdir d
        no_changes
        commits
        expect_output '0 changes committed'
}

@test "commit: one refusal, and nothing at all is done" {
        echo x >a && echo x >z && tick
        sh_in 'echo y >a; echo y >z; mkdir m; rm -f q'
        tick && echo out >z
        run untouched "$HOME" "$PADDOCK" commit env
        expect_status 125
        expect_match "$HOME/z: it was changed outside.*nothing was committed"
        commits a m
        [ "$(cat a z)" = 'y
out' ]
}

@test "commit: forced where it was asked for, and only there" {
        echo x >a && mkdir d && echo x >d/b && echo x >z && tick
        sh_in 'echo y >a; rm -r d; echo y >z'
        tick && echo out >>a && echo out >d/c && echo out >>z
        fails "$HOME/z: it was changed outside" commit env --force a --force d
        run "$PADDOCK" commit env a d --force a --force "$HOME/d"
        expect_status 0
        [ "$(cat a)" = y ] && [ ! -e d ] && [ "$(tail -1 z)" = out ]
}

@test "commit: text of both sides is merged, with every difference between marks" {
        printf 'one\ntwo\nthree\n' >t && head -c 64 /dev/zero >bin && tick
        sh_in 'printf "one\n2\nthree\n" >t; echo i >>bin'
        tick && printf 'one\ntwo\nthree\nfour\n' >t
        run "$PADDOCK" commit env t --three-way
        expect_status 1
        [ "$(cat t)" = 'one
<<<<<<< outside
two
=======
2
>>>>>>> inside
three
<<<<<<< outside
four
=======
>>>>>>> inside' ]
        tick && echo o >>bin && cp bin "$OUT/bin"
        run "$PADDOCK" commit env bin --three-way
        expect_status 125
        expect_match 'it is no text'
        cmp bin "$OUT/bin"
}

# numbered N... - a text of ten lines, of which those numbered have another word behind them.
numbered()
{
        local i
        for i in 1 2 3 4 5 6 7 8 9 10; do
                case " $1 " in *" $i "*) echo "line $i $2" ;; *) case " $3 " in *" $i "*) echo "line $i $4" ;; *) echo "line $i" ;; esac ;; esac
        done
}

@test "commit: a text that was looked at before the outside went on is merged as diff3 does it" {
        numbered >t && numbered >u && cp t never && tick
        sh_in 'sed -i "s/^line 2$/& inside/" t never; sed -i "s/^line 5$/& inside/; s/^line 9$/& same/" u; : >empty'
        for look in "commit -n env t" "diff -u env u --no-pager"; do
                # shellcheck disable=SC2086
                untouched "$HOME" "$PADDOCK" $look >/dev/null
        done
        tick && numbered 8 outside >t && numbered 5 outside 9 same >u && cp t never
        fails "$HOME/t: it was changed outside" commit env t
        run "$PADDOCK" commit env t --three-way
        expect_status 0
        expect_match '/t: merged'
        numbered 2 inside 8 outside | diff - t
        run "$PADDOCK" commit env u --three-way
        expect_status 1
        expect_match '/u: merged, with 1 conflict between marks'
        [ "$(sed -n 5,9p u)" = '<<<<<<< outside
line 5 outside
=======
line 5 inside
>>>>>>> inside' ]
        [ "$(wc -l <u):$(tail -2 u | head -1)" = '14:line 9 same' ]
        run "$PADDOCK" commit env never --three-way
        expect_status 1
        expect_match '/never: merged without the version that both come from: 2 differences'
        [ -z "$(ls "$XDG_STATE_HOME/paddock/env/env/texts")" ]
}

@test "commit: an environment that goes on is merged again and again, and nothing of either side is lost" {
        numbered >t && tick
        start inside -n env --share "$OUT" sh -c 'sed -i "s/^line 1$/& in/" t; touch "$OUT/on1"; until [ -e "$OUT/go2" ]; do sleep 0.02; done
                sed -i "s/^line 3$/& in/" t; touch "$OUT/on2"; until [ -e "$OUT/go3" ]; do sleep 0.02; done
                sed -i "s/^line 5$/& in/; s/^line 1 in$/line 1/" t; touch "$OUT/on3"; until [ -e "$OUT/end" ]; do sleep 0.02; done'
        eventually test -e "$OUT/on1"
        "$PADDOCK" commit env t # what it writes is what both come from
        numbered 1 in | diff - t
        tick && numbered 1 in 8 out >t && touch "$OUT/go2" && eventually test -e "$OUT/on2"
        fails "$HOME/t: it was changed outside" commit env t
        "$PADDOCK" commit env t --three-way
        numbered '1 3' in 8 out | diff - t
        # What was merged is not what inside has: without a merge it is not overwritten.
        fails "$HOME/t: it was changed outside" commit env t
        touch "$OUT/go3" && eventually test -e "$OUT/on3"
        tick && numbered '1 3' in '8 10' out >t
        "$PADDOCK" commit env t --three-way # a line that inside took back is taken back
        numbered '3 5' in '8 10' out | diff - t
        touch "$OUT/end"
        ends_with 0
}

@test "commit: the text of a change that was discarded is no base of the next" {
        numbered >t && tick
        sh_in 'sed -i "s/^line 2$/& inside/" t'
        "$PADDOCK" commit -n env t
        for how in 'discard env t' 'discard env' 'snapshot env one' 'reset env one'; do
                ! is_root || [[ $how = discard* ]] || continue # root's own environments have no snapshots
                # shellcheck disable=SC2086
                "$PADDOCK" $how
                case $how in snapshot*) sh_in 'sed -i "s/^line 2$/& inside/" t'; "$PADDOCK" commit -n env t; [ -n "$(ls "$XDG_STATE_HOME/paddock/env/env/texts")" ]; continue ;; esac
                [ -z "$(ls "$XDG_STATE_HOME/paddock/env/env/texts" 2>/dev/null)" ]
                [ "$how" = 'discard env' ] || { sh_in 'sed -i "s/^line 2$/& inside/" t'; "$PADDOCK" commit -n env t; }
        done
}

# Whatever came of the test, its mount goes.
eval "common_$(declare -f teardown)"
teardown()
{
        ! mountpoint -q "$HOME/c" || fusermount3 -u -z "$HOME/c"
        common_teardown
}

# folding - $HOME/c is a directory that does not tell upper from lower case.
folding()
{
        [ -r /dev/fuse ] && [ -w /dev/fuse ] && command -v fusermount3 cc >/dev/null && pkg-config --exists fuse3 || skip 'no FUSE for a test here'
        # shellcheck disable=SC2046
        cc -std=gnu17 -D_GNU_SOURCE -O1 -o "$OUT/foldfs" "$BATS_TEST_DIRNAME/foldfs.c" $(pkg-config --cflags --libs fuse3)
        mkdir "$OUT/below" c
        "$OUT/foldfs" "$OUT/below" "$HOME/c" 3>&- || skip 'nobody may mount FUSE here'
        echo x >c/probe && [ "$(cat c/PROBE)" = x ] && rm c/probe
}

@test "commit: names that fall together where upper and lower case are one are refused by name, and nothing is overwritten" {
        ! is_root || skip 'of an ordinary user'
        mkdir c && tick
        sh_in 'cd c; mkdir -p new/Deep; echo 1 >one; echo 2 >ONE; echo 3 >new/Deep/x; echo 4 >new/Deep/X; echo 5 >Theirs; echo 6 >alone; echo 7 >ÄH; echo 8 >äh'
        "$PADDOCK" commit env -n >/dev/null # where it was made all of it can go
        rmdir c && folding
        echo theirs >c/theirs && mkdir c/other
        run "$PADDOCK" commit env
        expect_status 125
        expect_match "$HOME/c/one: outside, where upper and lower case are one, it falls together with $HOME/c/ONE"
        expect_match "c/new/Deep/x: outside, where upper and lower case are one, it falls together with $HOME/c/new/Deep/X"
        expect_match "c/äh: outside, where upper and lower case are one, it falls together with"
        expect_match "$HOME/c/Theirs: "
        expect_match 'nothing was committed'
        run "$PADDOCK" commit env c/Theirs --force c/Theirs
        expect_status 125
        expect_match "$HOME/c/Theirs: outside, where upper and lower case are one, its name is written otherwise"
        [ "$(cat c/theirs):$(ls c | tr '\n' ' ')" = 'theirs:other theirs ' ]
        run "$PADDOCK" commit env c/new --to c/other
        expect_status 125
        expect_match 'Deep/x: there, where upper and lower case are one, it falls together with .*, and is left out'
        "$PADDOCK" commit env c/alone c/ONE c/new/Deep/X
        [ "$(cat c/one c/alone c/new/deep/x | tr '\n' ' ')" = '2 6 4 ' ]
        # What came there since in another case is not overwritten either.
        run "$PADDOCK" commit env c/one --force c/one
        expect_status 125
        expect_match 'its name is written otherwise'
        [ "$(cat c/one)" = 2 ]
        fusermount3 -u "$HOME/c"
}

@test "commit: a directory swapped outside, also for an older one, is not taken for the one that was there" {
        mkdir -p p/d other && echo x >p/d/f && echo x >other/f && tick
        sh_in 'echo y >p/d/f; echo n >p/d/new'
        tick && mv p/d p/was && mv other p/d
        fails "$HOME/p/d/f: " commit env p/d/f
        [ "$(cat p/d/f p/was/f)" = 'x
x' ]
}

@test "commit: never through a symbolic link, whoever planted it" {
        mkdir d victim && echo x >d/f && echo v >victim/f && tick
        sh_in 'echo y >d/f; mkdir -p n/m; echo n >n/m/f; ln -s /etc/passwd l'
        tick && mv d was && ln -s victim d && ln -s victim n
        fails "$HOME/d" commit env d
        fails "$HOME/n: " commit env n
        fails "has no change at or below $HOME/victim/m" commit env n/m
        [ "$(cat victim/f)" = v ] && [ "$(ls victim)" = f ]
        rm n && commits n l
        [ "$(readlink l)" = /etc/passwd ] && [ "$(cat n/m/f)" = n ]
        # forced, the link itself is replaced
        "$PADDOCK" commit env d --force d
        [ ! -L d ] && [ "$(cat d/f)" = y ] && [ "$(cat victim/f)" = v ]
}

@test "commit: a link in the layer where a directory is outside does not lead there" {
        mkdir d victim && touch d/f victim/f && tick
        sh_in 'rm -r d; ln -s "$HOME/victim" d'
        fails 'has no change at or below' commit env d/f
        commits d
        [ -L d ] && [ -e victim/f ]
}

@test "commit: what the user may not write is refused, before anything is done" {
        is_root && skip 'root may'
        mkdir ro && touch a && tick
        sh_in 'touch ro/f; echo >a'
        chmod 555 ro
        fails "$HOME/ro/f: you may not write the directory" commit env
        [ ! -s a ]
        commits a
        chmod 755 ro && commits
}

@test "commit: somebody else changes it at this very moment" {
        for i in $(seq 1 12); do
                sweep
                for n in 1 2 3 4 5 6 7 8; do echo base >f$n; done
                tick
                sh_in 'for n in 1 2 3 4 5 6 7 8; do echo inside >f$n; done'
                tick
                start "$PADDOCK" commit env >/dev/null 2>&1
                for n in 8 7 6 5 4 3 2 1; do echo outside >o && mv o f$n; done
                wait "$started" || true
                # The outside came last wherever it was not seen before: its content is never lost.
                for n in 1 2 3 4 5 6 7 8; do [ "$(cat f$n)" = outside ]; done
                nothing_of_ours .
        done
}

@test "commit: two at once" {
        sh_in 'i=0; while [ $i -lt 400 ]; do echo $i >f$i; i=$((i+1)); done'
        start "$PADDOCK" commit env >"$OUT/one" 2>&1
        first=$started
        "$PADDOCK" commit env >"$OUT/two" 2>&1 || grep -q 'another commit' "$OUT/two"
        wait "$first" || grep -q 'another commit' "$OUT/one"
        [ "$(ls | wc -l)" = 400 ]
        no_changes
}

@test "commit: more files than there are descriptors" {
        mkdir d && for i in $(seq 1 1500); do echo "$i" >"d/$i"; done && tick
        sh_in 'for i in $(seq 1 1500); do echo x >>d/$i; done; for i in $(seq 1 700); do echo n >new$i; done'
        run bash -c 'ulimit -n 60 && "$PADDOCK" commit env d'
        expect_status 0
        run bash -c 'ulimit -Sn 100 && "$PADDOCK" commit env'
        expect_status 0
        [ "$(cat d/1 d/1500 new700)" = '1
x
1500
x
n' ]
        no_changes && nothing_of_ours .
}

# --- cut off ---------------------------------------------------------------------------------------------------------

# deadly COUNT - a commit whose system calls are cut off after COUNT of those that change something.
killed_at()
{
        strace -f -o /dev/null -e trace=none -e inject="$1":signal=KILL:when="$2" "$PADDOCK" commit env >/dev/null 2>&1
}

@test "commit: killed at every change that it makes, and repeated: the same end" {
        strace -o /dev/null true 2>/dev/null || skip 'no strace'
        for call in linkat renameat2 renameat unlinkat mkdirat fsync syncfs; do
                for when in 1 2 3 5; do
                        sweep
                        mkdir d e && echo 1 >d/a && echo 2 >d/b && mkdir d/gone && touch d/gone/f && ln -s x l && echo y >type && tick
                        sh_in 'echo in >>d/a; rm d/b; rm -r d/gone; mkdir -p n/m; echo 3 >n/m/f; ln n/m/f n/g; ln -sfn y l; rm type; mkdir type
                                echo 4 >type/f; echo 5 >e/f; chmod 711 e; mkfifo p'
                        env_run $TREES show . >"$PLACE/inside"
                        killed_at "$call" "$when" || true
                        # Whatever is there under a lasting name is old or new, never half.
                        [ "$(cat d/a)" = 1 ] || [ "$(cat d/a)" = '1
in' ]
                        [ ! -e n ] || [ "$(cat n/m/f)$(cat n/g)" = 33 ]
                        run "$PADDOCK" commit env
                        expect_status 0 || { echo "cut off at $call $when" >&2; return 1; }
                        $TREES show . | diff "$PLACE/inside" - || { echo "cut off at $call $when" >&2; return 1; }
                        no_changes && nothing_of_ours .
                done
        done
}

@test "commit: killed at random moments, and repeated: the same end" {
        for try in 1 2 3 4 5 6 7 8 9 10; do
                sweep
                mkdir t
                $TREES make "$try" t && tick
                env_run $TREES change "$try" t 40
                env_run $TREES show t >"$PLACE/inside"
                for again in 1 2 3; do
                        start "$PADDOCK" commit env >/dev/null 2>&1
                        sleep "0.0$((RANDOM % 25 + 10))"
                        kill -KILL "$started" 2>/dev/null || true
                        wait "$started" 2>/dev/null || true
                        sleep 0.02
                done
                run "$PADDOCK" commit env
                expect_status 0
                $TREES show t | diff "$PLACE/inside" -
                no_changes && nothing_of_ours t
        done
}

@test "commit: a full disk outside leaves everything old or new, and a repetition ends it" {
        is_root || skip 'needs a small file system'
        mkdir small && unshare -m true || skip 'no mount namespace'
        unshare -m bash -ec '
                mount -t tmpfs -o size=1m small small
                echo old >small/f
                sleep 0.02
                "$PADDOCK" run -n env sh -ec "echo new >small/f; head -c 3000000 /dev/urandom >small/big"
                ! "$PADDOCK" commit env
                [ "$(cat small/f)" = new ] || [ "$(cat small/f)" = old ]
                [ ! -e small/big ]
                mount -o remount,size=10m small
                "$PADDOCK" commit env
                [ "$(cat small/f)" = new ]
                [ "$(stat -c %s small/big)" = 3000000 ]'
}

# --- random ----------------------------------------------------------------------------------------------------------

@test "commit: random changes, committed, are what inside showed" {
        for seed in $(seq 20 34); do
                sweep
                mkdir t
                $TREES make "$seed" t && tick
                env_run $TREES change "$seed" t 40
                env_run $TREES show t >"$PLACE/inside"
                run "$PADDOCK" commit env
                expect_status 0 || { echo "seed $seed" >&2; return 1; }
                $TREES show t | diff "$PLACE/inside" - || { echo "seed $seed" >&2; return 1; }
                no_changes && nothing_of_ours t
                # and once more, on what the commit has made
                env_run $TREES change "$((seed + 1000))" t 40
                env_run $TREES show t >"$PLACE/inside"
                run "$PADDOCK" commit env
                expect_status 0 || { echo "seed $seed, again" >&2; return 1; }
                $TREES show t | diff "$PLACE/inside" - || { echo "seed $seed, again" >&2; return 1; }
        done
}

@test "commit: without what was discarded" {
        for seed in 41 42 43 44; do
                sweep
                mkdir t u
                $TREES make "$seed" t
                $TREES make "$seed" u
                tick
                $TREES show t >"$PLACE/t"
                env_run $TREES change "$seed" t
                env_run $TREES change "$seed" u
                env_run $TREES show u >"$PLACE/u"
                "$PADDOCK" discard env t || true
                "$PADDOCK" commit env >/dev/null
                $TREES show t | diff "$PLACE/t" -
                $TREES show u | diff "$PLACE/u" -
        done
}

# --- to somewhere else -----------------------------------------------------------------------------------------------

@test "commit --to: an archive holds what inside shows, and the command lays it out" {
        mkdir d && echo x >d/f && echo x >gone && tick
        sh_in "echo y >d/f; rm gone; mkdir -p n/\$(printf %0200d 1); echo z >n/\$(printf %0200d 1)/f; ln d/f d/g; mkfifo p; ln -s \$(printf %0150d 1) l
                setfattr -n user.a -v b d/f; chmod 750 n"
        run untouched "$HOME" "$PADDOCK" commit env --to "$OUT/x.tar"
        expect_status 0
        expect_match "rm -rf -- $HOME/gone"
        expect_match 'tar --extract'
        tar -tf "$OUT/x.tar" >"$OUT/list"
        mkdir "$OUT/there"
        tar --extract --preserve-permissions --numeric-owner --xattrs '--xattrs-include=*' --directory "$OUT/there" --file "$OUT/x.tar"
        rm gone
        diff <(cd "$OUT/there/$HOME" && $TREES show .) <(env_run $TREES show .)
        /usr/bin/python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).getmembers()' "$OUT/x.tar"
        run "$PADDOCK" commit env d --to -
        expect_status 0
}

@test "commit --to: a directory" {
        echo x >gone && tick
        sh_in 'mkdir d; echo y >d/f; rm gone'
        mkdir "$OUT/there"
        run untouched "$HOME" "$PADDOCK" commit env --to "$OUT/there"
        expect_status 0
        expect_match "deleted inside, which a directory cannot say: $HOME/gone"
        [ "$(cat "$OUT/there/$HOME/d/f")" = y ]
        fails 'nothing there is forced' commit env --to "$OUT/there" --force d
}

# --- real ------------------------------------------------------------------------------------------------------------

@test "commit: a git work tree edited inside" {
        command -v git >/dev/null || skip 'no git'
        git init -q repo && cd repo && git config user.name t && git config user.email t@example.org
        for i in 1 2 3 4 5; do mkdir "d$i" && seq 1 50 >"d$i/f"; done
        git add . && git commit -qm one && cd .. && tick
        sh_in 'cd repo; git checkout -q -b work; sed -i s/7/seven/ d1/f; mv d2 moved; git add -A; git rm -rq d3; git commit -qam two'
        commits
        cd repo && [ "$(git log --format=%s -1)" = two ] && [ -z "$(git status --porcelain)" ] && git fsck
}

@test "commit: a home directory tidied by a script" {
        for i in $(seq 1 30); do echo "$i" >"photo $i.jpg"; echo "$i" >"text $i.txt"; done
        mkdir old && touch old/a old/b && tick
        sh_in 'mkdir -p sorted/jpg sorted/txt; mv *.jpg sorted/jpg; mv *.txt sorted/txt; rm -r old'
        commits
        [ "$(ls)" = sorted ] && [ "$(ls sorted/jpg | wc -l)" = 30 ] && [ "$(cat 'sorted/txt/text 7.txt')" = 7 ]
        no_changes
}

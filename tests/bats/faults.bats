#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# faults.bats - surroundings that are not as they should be: it works all the same, or a message says what is wrong; and
# nothing is left behind.

load common

# works_or_tells - what `run` caught: it worked, or paddock failed and said why.
works_or_tells()
{
        [ "$status" = 0 ] && return
        expect_status 125
        expect_match '(^|
)paddock: .+'
}

# with_tmpfs OPTIONS SCRIPT - runs the script in a mount namespace of its own, with a tmpfs on $PLACE/disk.
with_tmpfs()
{
        local unshare=(unshare -m)

        is_root || unshare=(unshare --user --map-root-user -m)
        mkdir -p "$PLACE/disk"
        "${unshare[@]}" true 2>/dev/null || skip "no mount namespace can be made here"
        run "${unshare[@]}" bash -c 'mount -t tmpfs -o "$1" none "$PLACE/disk" || exit 99; '"$2" bash "$1"
}

# --- variables -------------------------------------------------------------------------------------------------------

@test "faults: HOME is not set" {
        run -0 env -u HOME "$PADDOCK" run sh -c 'echo "${HOME-none}"'
        expect_output none
        run -0 env -u HOME "$PADDOCK" run -n web true
        run env -u HOME "$PADDOCK" run --mirror '~' true
        expect_status 125
        expect_match 'HOME'
        run env -u HOME -u XDG_STATE_HOME "$PADDOCK" run sh -c 'echo x >f; cat f'
        expect_status 0
        expect_match 'in memory.*HOME.*
x$'
        not test -e f
        for verb in "run -n web true" "create web" list "show web" "rm web"; do
                # shellcheck disable=SC2086 # a verb with its arguments
                run env -u HOME -u XDG_STATE_HOME "$PADDOCK" $verb
                expect_status 125
                expect_match 'HOME'
        done
}

@test "faults: HOME and XDG_STATE_HOME are empty" {
        run env HOME= XDG_STATE_HOME= "$PADDOCK" run sh -c 'echo x'
        expect_status 0
        expect_match 'in memory'
        run env HOME= XDG_STATE_HOME= "$PADDOCK" list
        expect_status 125
}

@test "faults: HOME of somebody else" {
        local home=/root
        if is_root; then
                home=$PLACE/theirs
                mkdir -p "$home/.local/state/paddock"
                chown -R 65534 "$home"
        elif [ -w /root ]; then
                skip "root's home is open to this user"
        fi
        run env -u XDG_STATE_HOME HOME="$home" "$PADDOCK" run sh -c 'echo works'
        expect_status 0
        expect_match 'in memory.*
works$'
        run env -u XDG_STATE_HOME HOME="$home" "$PADDOCK" run -n web true
        expect_status 125
        expect_match 'XDG_STATE_HOME'
        is_root || return 0
        [ -z "$(ls -A "$home/.local/state/paddock")" ]
}

@test "faults: HOME does not exist" {
        local home=/nonexistent
        ! is_root || home=$PLACE/nonexistent
        run env -u XDG_STATE_HOME HOME="$home" "$PADDOCK" run sh -c 'echo works; cd; touch x' 2>/dev/null
        expect_match works
        run env HOME="$home" "$PADDOCK" run sh -c 'echo works'
        expect_status 0
        expect_output works
        is_root && return
        run env -u XDG_STATE_HOME HOME="$home" "$PADDOCK" run -n web true
        expect_status 125
        expect_match '/nonexistent'
        not exists /nonexistent
}

@test "faults: HOME and XDG_STATE_HOME are files" {
        touch file
        run env -u XDG_STATE_HOME HOME="$HOME/file" "$PADDOCK" run echo works
        expect_status 0
        expect_match 'works'
        run env XDG_STATE_HOME="$HOME/file" "$PADDOCK" run echo works
        expect_status 0
        expect_match 'in memory.*
works$'
        run env XDG_STATE_HOME="$HOME/file" "$PADDOCK" run -n web true
        expect_status 125
        expect_match 'home/file'
}

@test "faults: a relative XDG_STATE_HOME is ignored" {
        run env XDG_STATE_HOME=relative "$PADDOCK" run -n web true
        expect_status 0
        not exists relative
        [ -d "$HOME/.local/state/paddock/env/web" ]
        [ "$(stat -c %a "$HOME/.local/state/paddock")" = 700 ]
}

@test "faults: XDG_STATE_HOME cannot be written" {
        ! is_root || skip "root can write everywhere"
        mkdir -m 555 "$PLACE/closed"
        export XDG_STATE_HOME=$PLACE/closed
        run inside sh -c 'echo x >f; cat f'
        expect_status 0
        expect_match 'in memory.*
x$'
        run inside -n web true
        expect_status 125
        expect_match 'closed'
        expect_match 'XDG_STATE_HOME'
        run inside --explain true
        expect_status 0
        expect_match 'in memory'
}

@test "faults: XDG_STATE_HOME on a read-only file system" {
        with_tmpfs ro 'export XDG_STATE_HOME=$PLACE/disk; "$PADDOCK" run sh -c "echo x >f; cat f"; "$PADDOCK" run -n web true; echo $?'
        expect_status 0
        expect_match 'in memory'
        [ "${lines[-1]}" = 125 ]
        expect_match 'Read-only'
        expect_match '
x
'
        not test -e f
        nothing_left
}

@test "faults: XDG_STATE_HOME on a full file system" {
        with_tmpfs size=64k 'export XDG_STATE_HOME=$PLACE/disk; mkdir -m 700 $PLACE/disk/paddock; cat /dev/zero >$PLACE/disk/fill 2>/dev/null
                timeout 10 "$PADDOCK" run echo works; echo "status $?"
                timeout 10 "$PADDOCK" run -n web true; echo "status $?"; timeout 10 "$PADDOCK" create new; echo "status $?"
                rm $PLACE/disk/fill; timeout 10 "$PADDOCK" list; echo "status $?"; ls -A "$PLACE/disk/paddock/tmp" 2>/dev/null || true'
        expect_status 0
        expect_match '^[^?]*works
status 0
'
        expect_match 'paddock: .*No space left'
        expect_match 'is full: .*paddock rm'
        # where it was made, it is whole; and the full disk has damaged nothing for the time after
        [[ $output != *damaged* ]]
        expect_match 'status 125
[^?]*status 125
'
        [ "${lines[-1]}" = 'status 0' ]
}

@test "faults: the layer's disk fills up while a program runs" {
        run inside --memory sh -c 'dd if=/dev/zero of=f bs=4096 count=4 2>/dev/null; [ "$(stat -c %s f)" = 16384 ]'
        expect_status 0
        with_tmpfs size=256k 'export XDG_STATE_HOME=$PLACE/disk; "$PADDOCK" run sh -c "cat /dev/zero >f 2>err; cat err; echo x; echo end"
                ls -A "$PLACE/disk/paddock/tmp"'
        expect_match 'end$'
        not test -e f
}

# --- the working directory --------------------------------------------------------------------------------------------

@test "faults: the working directory is deleted" {
        mkdir d
        run bash -c 'cd d; rmdir ../d; exec "$PADDOCK" run sh -c "/bin/pwd; echo \$PWD \${OLDPWD-none}"'
        expect_status 0
        expect_output "/
/ none"
        mkdir d
        run bash -c 'cd d; rmdir ../d; exec "$PADDOCK" run --mirror relative true'
        expect_status 125
        expect_match 'relative'
        nothing_left
}

@test "faults: the working directory is hidden, below a hidden one, or not in an empty root" {
        mkdir -p d/e
        local rule
        for rule in "--hide=$HOME/d" "--hide=$HOME/d/e" "--empty=$HOME/d" "--hide=$HOME"; do
                run bash -c 'cd /; cd "$HOME/d/e"; exec "$PADDOCK" run "$1" sh -c "/bin/pwd; echo \$PWD \${OLDPWD-none}"' bash "$rule"
                expect_status 0
                expect_output "/
/ none"
        done
        # one that is there stays
        run bash -c 'cd d/e; exec "$PADDOCK" run --mirror "$HOME/d" sh -c "/bin/pwd; echo \$PWD"'
        expect_output "$HOME/d/e
$HOME/d/e"
}

@test "faults: the working directory cannot be entered any more" {
        ! is_root || skip "root can enter every directory"
        mkdir -p d/e
        run bash -c 'cd d/e; chmod 000 "$HOME/d"; exec timeout 10 "$PADDOCK" run sh -c "echo \$PWD"'
        chmod 755 d
        works_or_tells
        nothing_left
}

# --- limits -----------------------------------------------------------------------------------------------------------

@test "faults: few descriptors" {
        local n works=no
        for n in 16 20 24 28 32 36 40 44 48; do
                run bash -c 'ulimit -n "$1"; exec timeout 10 "$PADDOCK" run true' bash "$n"
                works_or_tells
                [ "$status" != 0 ] || works=$n
                run bash -c 'ulimit -n "$1"; exec timeout 10 "$PADDOCK" run -n web true' bash "$n"
                works_or_tells
        done
        [ "$works" = 48 ]
        inside -n web true
        nothing_left
}

@test "faults: few descriptors, below what a start needs" {
        local n
        for n in 3 4 5 6 7 8 9 10 11 12 13 14 15; do
                run bash -c 'ulimit -n "$1"; exec "$PADDOCK" run true' bash "$n"
                works_or_tells
                # what could not be removed without descriptors was told; a later run removes it
                no_temporary || expect_match 'to remove it'
                rm -rf "$XDG_STATE_HOME/paddock/tmp"
        done
        nothing_left
}

@test "faults: few processes" {
        local n
        for n in 1 2 3; do
                run bash -c 'ulimit -u "$1"; exec timeout -k 1 10 "$PADDOCK" run true' bash "$n"
                [ "$status" != 124 ]
                run bash -c 'ulimit -u "$1"; exec "$PADDOCK" run true' bash "$n"
                works_or_tells
        done
        nothing_left
}

@test "faults: little address space" {
        local kib
        for kib in 1000 2000 2500 3000 4000 6000 10000 20000 100000; do
                run bash -c '(ulimit -v "$1"; exec "$PADDOCK" run true); code=$?; [ $code != 127 ] || code=126; exit $code' bash "$kib"
                # a program itself may not fit: its loader says so with 127, the kernel kills it, or exec fails
                case $status in
                125)
                        expect_match '(^|[^a-z])paddock: ' ;;
                0|126|137|139)
                        ;;
                *)
                        expect_status 0 ;;
                esac
        done
        expect_status 0
        nothing_left
}

@test "faults: files may have no size" {
        run bash -c 'trap "" XFSZ; ulimit -f 0; exec "$PADDOCK" run true'
        works_or_tells
        run bash -c 'trap "" XFSZ; ulimit -f 0; exec "$PADDOCK" run -n web true' 2>&1
        works_or_tells
        run "$PADDOCK" list
        expect_status 0
        [[ $output != *damaged* ]]
        inside -n web true
        nothing_left
}

@test "faults: 1,000 rules in one view" {
        local i kinds=(mirror hide empty private share) rules=()
        for ((i = 0; i < 1000; i++)); do
                rules+=("--${kinds[i % 5]}=$OUT/d$i")
        done
        (cd "$OUT" && seq -f 'd%g' 0 999 | xargs mkdir && seq -f 'd%g/f' 0 999 | xargs touch)
        run inside "${rules[@]}" sh -ec 'cd "$OUT"
                for i in 0 5 500 995; do [ -e d$i/f ]; ! touch d$i/x 2>/dev/null; done
                for i in 1 6 501 996; do [ ! -e d$i ]; done
                for i in 2 7 502 997; do [ -z "$(ls -A d$i)" ]; touch d$i/x; done
                for i in 3 8 503 998; do [ -e d$i/f ]; touch d$i/x; done
                for i in 4 9 504 999; do [ -e d$i/f ]; touch d$i/x; done
                ls | wc -l'
        expect_status 0
        expect_output 800
        [ "$(cd "$OUT" && echo d*/x)" = "d4/x d504/x d9/x d999/x" ]
        nothing_left
}

@test "faults: 60 environments at once" {
        local i pids=() pid
        mkfifo "$OUT/go"
        for ((i = 0; i < 60; i++)); do
                start inside --share "$OUT" sh -c 'echo "$1" >mine; touch "$OUT/in.$1"; read -r x <"$OUT/go"; [ "$(cat mine)" = "$1" ]' sh "$i"
                pids+=("$started")
        done
        all_in() { [ "$(find "$OUT" -name 'in.*' | wc -l)" = 60 ]; }
        patience=120 eventually all_in
        : >"$OUT/go"
        for pid in "${pids[@]}"; do
                wait "$pid"
        done
        not test -e mine
        patience=60 nothing_left
}

# --- odd systems ------------------------------------------------------------------------------------------------------

@test "faults: no /dev/null inside" {
        inside --empty /dev sh -c '[ ! -e /dev/null ] && [ -z "$(ls -A /dev)" ]'
        inside --empty /dev true </dev/null >/dev/null
        run inside --hide /dev/null sh -c '[ -e /dev/null ] || echo gone'
        works_or_tells
}

@test "faults: unreadable directories in a private tree" {
        mkdir -p t/shut/sub t/open t/write-only
        touch t/shut/f t/write-only/f
        chmod 300 t/write-only
        chmod 000 t/shut
        inside --private "$HOME/t" sh -ec 'cd t; [ "$(ls)" = "open
shut
write-only" ]; touch open/x; touch write-only/new; [ -e write-only/f ]
                if [ "$(id -u)" != 0 ]; then ! ls shut 2>/dev/null; fi
                chmod 700 shut; [ "$(ls shut)" = "f
sub" ]; touch shut/new; rm -r shut; [ ! -e shut ]'
        [ "$(stat -c %a t/shut)" = 0 ]
        [ -z "$(ls t/open)" ]
        inside -n web sh -ec 'mkdir -m 000 t/open/kept'
        [ "$(inside -n web stat -c %a t/open/kept)" = 0 ]
        "$PADDOCK" rm web
        nothing_left
}

@test "faults: PATH is not set, or names nothing" {
        run -0 env -u PATH "$PADDOCK" run true
        run -127 env PATH=/no/such:/dev/null "$PADDOCK" run true
        expect_match 'paddock: true: '
        run -0 env PATH=/no/such:/dev/null:/usr/bin:/bin "$PADDOCK" run true
        run -0 env -i "$PADDOCK" run --memory /bin/true
}

# --- odd names ---------------------------------------------------------------------------------------------------------

@test "faults: a command's name is escaped in messages" {
        run -127 inside $'no\nsuch\e[31m'
        [ "${#lines[@]}" = 1 ]
        expect_match '^paddock: no\\nsuch'
        [[ $output != *$'\e'* ]]
        run -127 inside $'./no\nsuch'
        [ "${#lines[@]}" = 1 ]
}

@test "faults: names of rules, files and environments are escaped in messages" {
        local verb
        run inside --mirror "$HOME/"$'no\nsuch\e[31m' true
        expect_status 125
        [[ $output != *$'\e'* ]]
        [[ $output == *'no\nsuch'* ]]
        run inside -f $'no\nsuch\e' true
        expect_status 125
        [[ $output != *$'\e'* ]]
        run "$PADDOCK" create -f $'no\nsuch\e' web
        expect_status 125
        [[ $output != *$'\e'* ]]
        run inside -n $'no\nsuch\e' true
        expect_status 125
        [[ $output != *$'\e'* ]]
        for verb in net root hostname from; do
                run inside --$verb=$'no\nsuch\e' true
                expect_status 125
                [[ $output != *$'\e'* ]] || { printf '%s: %q\n' "$verb" "$output"; false; }
        done
}

@test "faults: names that are too long" {
        local component path kind
        component=$(printf 'x%.0s' {1..256})
        path=$HOME$(printf '/%.0sxxxxxxxxxxxxxxxxxxx' {1..198})
        [ ${#path} -gt 3900 ]
        for kind in mirror share private empty; do
                refused '[Tt]oo long|does not exist' "--$kind=$HOME/$component"
                refused '[Tt]oo long|does not exist' "--$kind=$path$path"
        done
        refused '[Tt]oo long|does not exist' "--from=$HOME/x=$HOME/$component"
        refused '[Tt]oo long' "--from=$HOME/$component=$HOME"
        refused '[Tt]oo long|does not exist|not a directory' "--root=/$component"
        # about 4,000 bytes are a name like any other: there is none
        refused 'does not exist|too long' "--mirror=$path"
        run inside "--hide=$path" true
        works_or_tells
        run inside "--empty=$path" true
        works_or_tells
        nothing_left
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# nested.bats - paddock inside paddock: each environment private from all others, and its state where it was made.

load common

# The program under test, by a name that no environment sets.
setup_file()
{
        BIN=$(realpath "$PADDOCK")
        export BIN
}

# Writes deep.sh LEVEL DEPTH: changes files, starts itself one level deeper, and looks that nothing of there is seen here.
make_deep()
{
        mkdir -p d/sub
        echo 0 >mine
        echo base >d/sub/base
        echo victim >d/victim
        cat >deep.sh <<'END'
set -e
level=$1 depth=$2
[ "$(cat mine)" = $((level - 1)) ]
[ "$(cat d/sub/base)" = base ]
i=1
while [ $i -lt $level ]; do [ -e d/sub/only-$i ]; i=$((i + 1)); done
[ ! -e d/sub/only-$level ]
echo $level >mine
touch d/sub/only-$level
echo "$level" >/tmp/paddock-nested-$$
if [ $level = 2 ]; then rm d/victim; fi
if [ $level -ge 3 ]; then [ ! -e d/victim ]; fi
if [ $level -lt $depth ]; then
        "$BIN" run sh deep.sh $((level + 1)) $depth
        [ "$(cat mine)" = $level ]
        [ ! -e d/sub/only-$((level + 1)) ]
        if [ $level = 1 ]; then [ "$(cat d/victim)" = victim ]; fi
else
        echo bottom $level
fi
END
}

@test "nested: three levels, each private" {
        make_deep
        run untouched "$HOME" inside sh deep.sh 1 3
        expect_status 0
        expect_output "bottom 3"
        nothing_left
}

@test "nested: four levels, each private" {
        make_deep
        run untouched "$HOME" inside sh deep.sh 1 4
        expect_status 0
        expect_output "bottom 4"
        nothing_left
}

@test "nested: exit codes and signals come through three levels" {
        run -42 inside "$BIN" run "$BIN" run sh -c 'exit 42'
        run -127 inside "$BIN" run no-such-program-anywhere
        start inside "$BIN" run sh -c 'kill -TERM $$'
        ends_with 143
}

@test "nested: rules inside rules" {
        mkdir -p t/a t/b && echo a >t/a/f && echo b >t/b/f
        export T=$HOME/t
        # what the outer one hides, mirrors or empties, the inner one cannot bring back
        untouched "$HOME" inside --hide "$T/a" --mirror "$T/b" sh -ec '
                "$BIN" run --private "$T" sh -ec "[ ! -e \$T/a/f ]; cat \$T/b/f >/dev/null"
                ! "$BIN" run --share "$T/b" sh -c "echo x >\$T/b/f" 2>/dev/null
                "$BIN" run --hide "$T/b" test ! -e "$T/b"
                [ -e "$T/b/f" ]'
        # what is shared in both goes through, and shared in the inner one alone reaches the outer one's layer
        inside --share "$T/a" "$BIN" run --share "$T/a" sh -c 'echo through >"$T/a/f"'
        [ "$(cat t/a/f)" = through ]
        inside sh -ec '"$BIN" run --share "$T/a" sh -c "echo layer >\$T/a/f"; [ "$(cat "$T/a/f")" = layer ]'
        [ "$(cat t/a/f)" = through ]
        nothing_left
}

@test "nested: two environments side by side inside one, and each apart" {
        inside sh -ec '"$BIN" run -n x sh -c "echo x >f"; "$BIN" run -n y sh -c "[ ! -e f ] && echo y >f"
                [ ! -e f ]; [ "$("$BIN" run -n x cat f)$("$BIN" run -n y cat f)" = xy ]'
        not test -e f
}

@test "nested: a named environment inside an environment keeps inside and is not listed outside" {
        inside -n outer sh -ec '"$BIN" run -n inner sh -c "echo kept >f"; "$BIN" list' >"$OUT/list"
        grep -q '^inner .*stopped' "$OUT/list"
        not grep -q outer "$OUT/list"
        run "$BIN" list
        expect_match '^NAME[^\n]*
outer  *stopped$'
        run -125 "$BIN" show inner
        # it is there in the next run of the outer one, and nowhere else
        [ "$(inside -n outer "$BIN" run -n inner cat f)" = kept ]
        inside -n outer test ! -e f
        run inside "$BIN" list
        expect_output ""
        # three names deep
        inside -n outer "$BIN" run -n inner "$BIN" run -n third sh -c 'echo deep >f'
        [ "$(inside -n outer "$BIN" run -n inner "$BIN" run -n third cat f)" = deep ]
        [ "$(inside -n outer "$BIN" run -n inner cat f)" = kept ]
        inside -n outer "$BIN" rm inner
        run inside -n outer "$BIN" list
        expect_output ""
        nothing_left
}

@test "nested: the state of the outside is not visible inside" {
        "$BIN" create one
        inside -n outer true
        for way in "" "--share=$XDG_STATE_HOME" "--share=$PLACE" "--mirror=$PLACE"; do
                # shellcheck disable=SC2086 # no argument at all without a way
                run inside $way sh -c 'ls -A "$XDG_STATE_HOME/paddock" 2>/dev/null
                        find "$PLACE" -name alive.lock -o -name environment; "$BIN" list'
                expect_status 0
                [[ $output != *one* && $output != *outer* && $output != *alive.lock* ]]
                run inside $way "$BIN" run --share="$PLACE" sh -c 'find "$PLACE" -name alive.lock -o -name environment; "$BIN" list'
                [[ $output != *one* && $output != *outer* && $output != *alive.lock* ]]
        done
        run -125 inside "$BIN" rm outer
        [ -d "$XDG_STATE_HOME/paddock/env/outer" ]
}

@test "nested: processes of the inner one are seen by the outer one, not the reverse" {
        inside sh -ec 'sleep 99 & "$BIN" run sh -c "cat /proc/[0-9]*/cmdline | tr \"\\0\" \" \"" >seen
                ! grep -q "sleep 99" seen'
}

@test "nested: two at once of one name, inside an environment" {
        inside sh -ec '
                "$BIN" run -n pair sh -c "touch one; timeout 5 sh -c \"until [ -e two ]; do sleep 0.05; done\"; echo saw >saw" &
                pid=$!
                timeout 5 sh -c "until \"\$BIN\" list | grep -q running; do sleep 0.05; done"
                "$BIN" run -n pair sh -c "timeout 5 sh -c \"until [ -e one ]; do sleep 0.05; done\" && touch two"
                wait $pid
                [ "$("$BIN" run -n pair cat saw)" = saw ]'
}

@test "nested: kill -9 of the outer one ends the inner ones" {
        inside -n outer --share "$OUT" true
        start inside -n outer "$BIN" run -n inner sh -c 'echo x >f; touch "$OUT/ready" && sleep 100'
        # what is shared by the outer one is private in the inner one, so look for the process instead
        local init
        eventually init_of "$started"
        init=$(init_of "$started")
        sleep 0.3
        kill -KILL "$started"
        eventually gone "$init"
        eventually ended "$started"
        inside -n outer "$BIN" run -n inner true
        nothing_left
}

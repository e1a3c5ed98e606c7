#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# nested.bats - paddock inside paddock: each environment private from all others, and its state where it was made.

load common

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
        "$PADDOCK" run sh deep.sh $((level + 1)) $depth
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
        run -42 inside "$PADDOCK" run "$PADDOCK" run sh -c 'exit 42'
        run -127 inside "$PADDOCK" run no-such-program-anywhere
        start inside "$PADDOCK" run sh -c 'kill -TERM $$'
        ends_with 143
}

@test "nested: rules inside rules" {
        mkdir -p t/a t/b && echo a >t/a/f && echo b >t/b/f
        export T=$HOME/t
        # what the outer one hides, mirrors or empties, the inner one cannot bring back
        untouched "$HOME" inside --hide "$T/a" --mirror "$T/b" sh -ec '
                "$PADDOCK" run --private "$T" sh -ec "[ ! -e \$T/a/f ]; cat \$T/b/f >/dev/null"
                ! "$PADDOCK" run --share "$T/b" sh -c "echo x >\$T/b/f" 2>/dev/null
                "$PADDOCK" run --hide "$T/b" test ! -e "$T/b"
                [ -e "$T/b/f" ]'
        # what is shared in both goes through, and shared in the inner one alone reaches the outer one's layer
        inside --share "$T/a" "$PADDOCK" run --share "$T/a" sh -c 'echo through >"$T/a/f"'
        [ "$(cat t/a/f)" = through ]
        inside sh -ec '"$PADDOCK" run --share "$T/a" sh -c "echo layer >\$T/a/f"; [ "$(cat "$T/a/f")" = layer ]'
        [ "$(cat t/a/f)" = through ]
        nothing_left
}

@test "nested: two environments side by side inside one, and each apart" {
        inside sh -ec '"$PADDOCK" run -n x sh -c "echo x >f"; "$PADDOCK" run -n y sh -c "[ ! -e f ] && echo y >f"
                [ ! -e f ]; [ "$("$PADDOCK" run -n x cat f)$("$PADDOCK" run -n y cat f)" = xy ]'
        not test -e f
}

@test "nested: a named environment inside an environment keeps inside and is not listed outside" {
        inside -n outer sh -ec '"$PADDOCK" run -n inner sh -c "echo kept >f"; "$PADDOCK" list' >"$OUT/list"
        grep -q '^inner .*stopped' "$OUT/list"
        not grep -q outer "$OUT/list"
        run "$PADDOCK" list
        expect_match '^NAME[^\n]*
outer  *stopped$'
        run -125 "$PADDOCK" show inner
        # it is there in the next run of the outer one, and nowhere else
        [ "$(inside -n outer "$PADDOCK" run -n inner cat f)" = kept ]
        inside -n outer test ! -e f
        run inside "$PADDOCK" list
        expect_output ""
        # three names deep
        inside -n outer "$PADDOCK" run -n inner "$PADDOCK" run -n third sh -c 'echo deep >f'
        [ "$(inside -n outer "$PADDOCK" run -n inner "$PADDOCK" run -n third cat f)" = deep ]
        [ "$(inside -n outer "$PADDOCK" run -n inner cat f)" = kept ]
        inside -n outer "$PADDOCK" rm inner
        run inside -n outer "$PADDOCK" list
        expect_output ""
        nothing_left
}

@test "nested: the state of the outside is not visible inside" {
        "$PADDOCK" create one
        inside -n outer true
        for way in "" "--share=$XDG_STATE_HOME" "--share=$PLACE" "--mirror=$PLACE"; do
                # shellcheck disable=SC2086 # no argument at all without a way
                run inside $way sh -c 'ls -A "$XDG_STATE_HOME/paddock" 2>/dev/null
                        find "$PLACE" -name alive.lock -o -name environment; "$PADDOCK" list'
                expect_status 0
                [[ $output != *one* && $output != *outer* && $output != *alive.lock* ]]
                run inside $way "$PADDOCK" run --share="$PLACE" sh -c 'find "$PLACE" -name alive.lock -o -name environment; "$PADDOCK" list'
                [[ $output != *one* && $output != *outer* && $output != *alive.lock* ]]
        done
        run -125 inside "$PADDOCK" rm outer
        [ -d "$XDG_STATE_HOME/paddock/env/outer" ]
}

@test "nested: processes of the inner one are seen by the outer one, not the reverse" {
        inside sh -ec 'sleep 99 & "$PADDOCK" run sh -c "cat /proc/[0-9]*/cmdline | tr \"\\0\" \" \"" >seen
                ! grep -q "sleep 99" seen'
}

@test "nested: two at once of one name, inside an environment" {
        inside sh -ec '
                "$PADDOCK" run -n pair sh -c "touch one; until [ -e two ]; do sleep 0.05; done; echo saw >saw" & 
                pid=$!
                until [ "$("$PADDOCK" list | grep -c running)" = 1 ]; do sleep 0.05; done
                "$PADDOCK" run -n pair sh -c "until [ -e one ]; do sleep 0.05; done; touch two"
                wait $pid
                [ "$("$PADDOCK" run -n pair cat saw)" = saw ]'
}

@test "nested: kill -9 of the outer one ends the inner ones" {
        inside -n outer --share "$OUT" true
        start inside -n outer "$PADDOCK" run -n inner sh -c 'echo x >f; touch "$OUT/ready" && sleep 100'
        # what is shared by the outer one is private in the inner one, so look for the process instead
        local init
        eventually init_of "$started"
        init=$(init_of "$started")
        sleep 0.3
        kill -KILL "$started"
        eventually gone "$init"
        eventually ended "$started"
        inside -n outer "$PADDOCK" run -n inner true
        nothing_left
}

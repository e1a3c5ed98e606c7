#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# named.bats - environments with a name: their layer is kept, several runs share it, nothing is lost when one is killed; and
# the verbs create, list, show and rm.

load common

# json EXPRESSION - evaluates a Python expression of `j`, the JSON text on standard input; fails when it is false.
json() { /usr/bin/python3 -c 'import json, sys; j = json.load(sys.stdin); sys.exit(not eval("(" + sys.argv[1] + ")"))' "$1"; }

environment_of() { echo "$XDG_STATE_HOME/paddock/env/$1"; }
state_of() { "$PADDOCK" list | sed -n "s/^$1  *//p"; }
is_in_state() { [ "$(state_of "$1")" = "$2" ]; }

# keeper NAME SIGN - starts a run of NAME, which shares $OUT and stays until $OUT/SIGN.end is there.
keeper()
{
        start inside -n "$1" --share "$OUT" sh -c 'touch "$OUT/$1"; until [ -e "$OUT/$1.end" ]; do sleep 0.05; done' sh "$2"
        eventually test -e "$OUT/$2"
}

# --- the layer is kept -----------------------------------------------------------------------------------------------

@test "named: -n makes an environment, a second run sees the changes, the outside does not" {
        mkdir d && echo old >d/a && echo gone >d/b
        untouched "$HOME" inside -n web sh -ec 'echo new >d/a; rm d/b; mkdir -p e/f; echo x >e/f/g; ln -s g e/f/l'
        [ -d "$(environment_of web)" ]
        untouched "$HOME" inside -n web sh -ec '[ "$(cat d/a)" = new ]; [ ! -e d/b ]; [ "$(cat e/f/l)" = x ]; rm -r e'
        untouched "$HOME" inside -n web test ! -e e
        inside test ! -e e -a -e d/b
        inside -n other test -e d/b
        nothing_left
}

@test "named: PADDOCK_NAME is the name, and the exit code the program's" {
        run -7 inside -n web sh -c 'echo "$PADDOCK_NAME"; exit 7'
        expect_output web
}

@test "named: a private file and an empty directory keep their content" {
        echo outside >file
        mkdir dir && touch dir/outside
        inside -n web --private "$HOME/file" --empty "$HOME/dir" --empty "$HOME/made/up" sh -ec '
                [ "$(cat file)" = outside ]; echo inside >file; [ -z "$(ls -A dir)" ]; echo x >dir/mine; mkdir dir/sub; echo y >made/up/z'
        [ "$(cat file)" = outside ]
        echo changed >file
        inside -n web sh -ec '[ "$(cat file)" = inside ]; [ "$(ls dir)" = "mine
sub" ]; rm dir/mine; [ "$(cat made/up/z)" = y ]; : >file'
        inside -n web sh -ec '[ ! -s file ]; [ "$(ls -A dir)" = sub ]'
        [ "$(cat file)" = changed ]
        [ "$(ls dir)" = outside ]
        not test -e made
}

@test "named: deleted files stay deleted, and what replaced a directory or a file stays" {
        mkdir -p dir/sub file-to-be/sub other
        echo x >dir/sub/x; echo x >file-to-be/sub/x; echo x >dir-to-be; echo x >other/x
        inside -n web sh -ec 'rm dir/sub/x; rm -r file-to-be; echo f >file-to-be; rm dir-to-be; mkdir dir-to-be; touch dir-to-be/y
                rm -r other; mkdir other; touch other/fresh'
        touch dir/sub/later
        inside -n web sh -ec '[ "$(ls dir/sub)" = later ]; [ "$(cat file-to-be)" = f ]; [ "$(ls dir-to-be)" = y ]; [ "$(ls other)" = fresh ]
                rm file-to-be; mkdir file-to-be; [ -z "$(ls -A file-to-be)" ]'
        inside -n web sh -ec '[ -d file-to-be ]; [ -z "$(ls -A file-to-be)" ]'
        [ "$(cat file-to-be/sub/x dir-to-be other/x)" = "x
x
x" ]
}

@test "named: the rules it was made with hold in later runs, others for one run alone" {
        mkdir a b && touch a/f b/f
        inside -n web --hide "$HOME/a" true
        inside -n web sh -ec '[ ! -e a ]; [ -e b ]'
        inside -n web --hide "$HOME/b" sh -ec '[ ! -e a ]; [ ! -e b ]'
        inside -n web --mirror "$HOME/a" sh -ec '[ -e a/f ]; [ -e b ]; ! touch a/new 2>/dev/null'
        inside -n web sh -ec '[ ! -e a ]; [ -e b ]'
        run "$PADDOCK" show web
        expect_match 'a: hide'
        [[ $output != *b:* ]]
}

@test "named: the layer survives kill -9 of a run" {
        start inside -n web --share "$OUT" sh -c 'echo kept >f; touch "$OUT/ready"; exec sleep 100'
        eventually test -e "$OUT/ready"
        local init
        init=$(init_of "$started")
        kill -KILL "$started"
        eventually gone "$init"
        eventually is_in_state web stopped
        [ "$(inside -n web cat f)" = kept ]
        # and of its first process
        rm "$OUT/ready"
        start inside -n web sh -c 'echo too >g; touch "$OUT/ready"; exec sleep 100'
        eventually test -e "$OUT/ready"
        kill -KILL "$(init_of "$started")"
        eventually ended "$started"
        [ "$(inside -n web cat f g)" = "kept
too" ]
        nothing_left
}

@test "named: kill -9 while it is being made leaves it usable" {
        local delay
        for delay in 0.001 0.003 0.005 0.01 0.02; do
                start inside -n web sleep 100
                sleep "$delay"
                kill -KILL "$started"
                eventually ended "$started"
        done
        inside -n web sh -c 'echo x >f'
        [ "$(inside -n web cat f)" = x ]
        "$PADDOCK" rm web
}

@test "named: a set-user-ID file of the layer cannot be reached by others" {
        local found
        chmod 711 "$PLACE"
        chmod 755 "$XDG_STATE_HOME"
        inside -n web sh -c 'cp /bin/true t; chmod 4755 t; [ -u t ]'
        [ "$(stat -c %a "$XDG_STATE_HOME/paddock")" = 700 ]
        found=$(find "$XDG_STATE_HOME/paddock" -name t -type f 2>/dev/null || true)
        [ -u "$found" ]
        if is_root; then
                # by a shell: setpriv keeps its capabilities until it executes something
                not setpriv --reuid 65534 --regid 65534 --clear-groups sh -c '"$1"' sh "$found" 2>/dev/null
                not setpriv --reuid 65534 --regid 65534 --clear-groups ls "$XDG_STATE_HOME/paddock" 2>/dev/null
        fi
        # even where somebody opened the state directory
        chmod 755 "$XDG_STATE_HOME/paddock"
        inside -n web true
        [ "$(stat -c %a "$XDG_STATE_HOME/paddock")" = 700 ]
}

# --- several runs at once --------------------------------------------------------------------------------------------

@test "named: two at once share the layer, live, and the first may end first" {
        local first
        keeper pair one
        first=$started
        inside -n pair --share "$OUT" sh -c 'echo early >early'
        start inside -n pair --share "$OUT" sh -ec 'touch "$OUT/two"; until [ -e live ]; do sleep 0.02; done; cat live >"$OUT/saw"
                until [ -e "$OUT/alone" ]; do sleep 0.02; done; cat live early >"$OUT/still"; echo late >late'
        eventually test -e "$OUT/two"
        inside -n pair --share "$OUT" sh -c 'echo live >l; mv l live'
        eventually grep -q live "$OUT/saw"
        touch "$OUT/one.end"
        wait "$first"
        eventually is_in_state pair running
        touch "$OUT/alone"
        ends_with 0
        [ "$(cat "$OUT/still")" = "live
early" ]
        [ "$(inside -n pair cat late)" = late ]
        not test -e live
        nothing_left
}

@test "named: two at once, the second ends first; processes are each one's own" {
        keeper pair one
        run -3 inside -n pair --share "$OUT" sh -c 'echo x >f; set -- /proc/[0-9]*; echo $#; exit 3'
        [ "$output" -lt 6 ]
        is_in_state pair running
        inside -n pair --share "$OUT" sh -ec '[ "$(cat f)" = x ]; echo in-shm >/dev/shm/x'
        [ "$(inside -n pair --share "$OUT" cat /dev/shm/x)" = in-shm ]
        touch "$OUT/one.end"
        ends_with 0
        is_in_state pair stopped
}

@test "named: kill -9 of the first leaves the second, and a third can join that one" {
        local first
        keeper trio one
        first=$started
        keeper trio two
        kill -KILL "$first"
        eventually ended "$first"
        is_in_state trio running
        inside -n trio --share "$OUT" sh -c 'echo x >f'
        [ "$(inside -n trio --share "$OUT" cat f)" = x ]
        touch "$OUT/two.end"
        ends_with 0
        eventually is_in_state trio stopped
        [ "$(inside -n trio cat f)" = x ]
}

@test "named: started at the very same moment, also when there is none yet" {
        local round i pids pid
        for round in 1 2 3 4; do
                pids=()
                for i in 1 2 3; do
                        start inside -n "same$round" sh -c 'echo "$1" >"f$1"' sh "$i"
                        pids+=("$started")
                done
                for pid in "${pids[@]}"; do
                        wait "$pid"
                done
                [ "$(inside -n "same$round" cat f1 f2 f3 | tr -d '\n')" = 123 ]
        done
        nothing_left
}

@test "named: runs that start while others end" {
        local i pids=() pid
        for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
                start inside -n busy sh -c 'echo "$1" >"f$1"' sh "$i"
                pids+=("$started")
                sleep "0.0$((i % 4))"
        done
        for pid in "${pids[@]}"; do
                wait "$pid"
        done
        [ "$(inside -n busy sh -c 'ls | wc -l')" = 12 ]
}

@test "named: other rules are refused while it runs" {
        mkdir d
        keeper web one
        fails 'other rules' run -n web --share "$OUT" --hide "$HOME/d" true
        fails 'other rules' run -n web --mirror "$OUT" true
        inside -n web test -e d
        touch "$OUT/one.end"
        ends_with 0
        inside -n web --share "$OUT" --hide "$HOME/d" test ! -e d
}

@test "named: rm while a run starts: either the one or the other, and nothing is lost in silence" {
        local i
        for i in 1 2 3 4 5 6 7 8; do
                "$PADDOCK" create race
                start inside -n race sh -c 'echo x >f; [ "$(cat f)" = x ]'
                sleep "0.00$i"
                run "$PADDOCK" rm race
                # one that found the name gone has made it again
                ends_with 0
                if [ "$status" = 125 ]; then
                        expect_match 'running'
                        [ "$(inside -n race cat f)" = x ]
                fi
                "$PADDOCK" rm race 2>/dev/null || true
        done
        no_temporary
}

# --- create, list, show, rm -------------------------------------------------------------------------------------------

@test "named: list, as text and as JSON" {
        run "$PADDOCK" list
        expect_status 0
        expect_output ""
        [ "$("$PADDOCK" list --json)" = '[]' ]
        "$PADDOCK" create zebra
        "$PADDOCK" create ant
        keeper web one
        [ "$("$PADDOCK" list | awk '{ print $1 "=" $2 }' | tr '\n' ' ')" = "NAME=STATE ant=stopped web=running zebra=stopped " ]
        "$PADDOCK" list --json | json '[(e["name"], e["state"]) for e in j] ==
                [("ant", "stopped"), ("web", "running"), ("zebra", "stopped")]'
        "$PADDOCK" show web | grep -q '^# state: running'
        "$PADDOCK" show --json web | json 'j["state"] == "running"'
        touch "$OUT/one.end"
        ends_with 0
        is_in_state web stopped
        "$PADDOCK" show web | grep -q '^# state: stopped'
}

@test "named: create without a description, and not twice" {
        "$PADDOCK" create web
        inside -n web sh -c 'echo x >f'
        fails "already" create web
        [ "$(inside -n web cat f)" = x ]
        fails 'which environment' create
}

@test "named: create from a file: its paths are relative to it, NAME replaces its name" {
        mkdir -p there/src there/dst && echo src >there/src/f && echo dst >there/dst/f
        printf 'name: one\nhostname: inner\nnetwork: none\nview:\n  ./dst: {from: ./src}\n  ~/hidden: hide\n' >there/e.yaml
        mkdir hidden
        run "$PADDOCK" create -f there/e.yaml
        expect_status 0
        expect_output ""
        "$PADDOCK" create -f there/e.yaml two
        "$PADDOCK" create -f - three <there/e.yaml
        for name in one two; do
                run inside -n $name sh -c 'cat there/dst/f; uname -n; [ ! -e hidden ] && ls /sys/class/net /proc/sys/net/ipv4/conf >/dev/null; echo end'
                expect_output "src
inner
end"
        done
        run "$PADDOCK" list
        [ "${#lines[@]}" = 4 ]
}

@test "named: show NAME | create -f - NEW makes the same again" {
        local odd=$'o d d: "#\n\e\\' latin=$'caf\xe9'
        mkdir a b c "$odd" "$latin" root
        touch file
        inside -n one --mirror "$HOME/a" --share "$OUT" --hide "$HOME/file" --empty "$HOME/none" --private "$HOME/$odd" \
                --mirror "$HOME/$latin" --union "$HOME/b=$HOME/a:$HOME/c" --from "$HOME/c=$HOME/a" --hostname inner --net none true
        "$PADDOCK" show one | sed 's/^name:.*//' | "$PADDOCK" create -f - two
        diff <("$PADDOCK" show one | grep -v -e '^# layer' -e '^# base' -e '^# size' -e ^name) <("$PADDOCK" show two | grep -v -e '^# layer' -e '^# base' -e '^# size' -e ^name)
        diff <(sed 1,2d "$(environment_of one)/environment" | sort) <(sed 1,2d "$(environment_of two)/environment" | sort)
        diff <("$PADDOCK" show --json one | sed '/"base": {/,/^  },/d; /"layer"/d; /"size"/d; /"name"/d') \
                <("$PADDOCK" show --json two | sed '/"base": null/d; /"layer"/d; /"size"/d; /"name"/d')
        "$PADDOCK" show --json two | json 'j["name"] == "two" and j["hostname"] == "inner" and j["network"] == "none" and
                len(j["view"]) == 8 and {r["rule"] for r in j["view"]} == {"mirror", "share", "hide", "empty", "private", "union", "from"} and
                [r["escaped"] for r in j["view"] if "caf" in r["path"]] == [True] and
                len([r for r in j["view"] if r["path"].endswith("o d d: \"#\n\x1b\\")]) == 1'
        inside -n two test ! -e file
}

@test "named: show of a root that is a directory, and of an empty one" {
        mkdir root
        "$PADDOCK" create -f - dir <<<"root: $HOME/root"
        "$PADDOCK" create -f - none <<<"root: empty"
        "$PADDOCK" show --json dir | json 'j["root"].endswith("/home/root")'
        "$PADDOCK" show --json none | json 'j["root"] == "empty"'
        "$PADDOCK" show dir | sed 's/^name:.*//' | "$PADDOCK" create -f - dir2
        "$PADDOCK" show --json dir2 | json 'j["root"].endswith("/home/root")'
}

@test "named: errors in a description are told by file, line and column, and nothing is made" {
        printf 'name: web\nview:\n  /tmp: privat\n  /usr: mirror\nhostnam: x\nnetwork: [1]\n' >e.yaml
        run "$PADDOCK" create -f e.yaml
        expect_status 125
        expect_match '(^|/)e\.yaml:3:9: .*'"'private'"
        expect_match 'e\.yaml:5:1: .*'"'hostname'"
        expect_match 'e\.yaml:6:10: '
        [ "${#lines[@]}" = 3 ]
        not exists "$(environment_of web)"
        no_temporary
        fails 'nowhere.yaml' create -f nowhere.yaml web
        fails 'Is a directory' create -f "$HOME" web
        printf '\n' >unnamed.yaml
        fails 'no name' create -f unnamed.yaml
        run "$PADDOCK" list
        expect_output ""
}

@test "named: rm" {
        local name
        for name in a b c; do
                inside -n $name sh -c 'mkdir -p d/e; touch d/e/f; chmod 000 d/e'
        done
        "$PADDOCK" rm a
        not exists "$(environment_of a)"
        "$PADDOCK" rm b c
        run "$PADDOCK" list
        expect_output ""
        no_temporary
        inside -n a test ! -e d
        fails 'which' rm
}

@test "named: rm of a running one is refused" {
        keeper web one
        fails 'running' rm web
        is_in_state web running
        inside -n web --share "$OUT" sh -c 'echo x >f'
        touch "$OUT/one.end"
        ends_with 0
        "$PADDOCK" rm web
        not exists "$(environment_of web)"
}

@test "named: a missing one is told with the nearest name" {
        "$PADDOCK" create website
        fails "did you mean 'website'" rm webside
        fails "did you mean 'website'" show webste
        fails 'paddock list' show something-else
        fails "no environment 'no'" rm no website
        is_in_state website stopped || not exists "$(environment_of website)"
}

@test "named: bad names are refused" {
        local name
        for name in '' . .. .x -x a/b ../a /a 'a b' $'a\nb' $'a\e' ä '~' "$(printf 'x%.0s' {1..65})"; do
                fails '^paddock: ' run "--name=$name" true
                fails '^paddock: ' create -- "$name"
                fails '^paddock: ' show -- "$name"
                fails '^paddock: ' rm -- "$name"
                fails 'name' create -f - -- "$name" <<<'root: host'
        done
        not exists "$XDG_STATE_HOME/a"
        [ -z "$(ls -A "$XDG_STATE_HOME/paddock/env" 2>/dev/null)" ]
        name=$(printf 'x%.0s' {1..64})
        inside -n "$name" true
        inside -n 0._-Z true
        "$PADDOCK" rm "$name" 0._-Z
}

# --- a state directory that is not as it should be ----------------------------------------------------------------------

@test "named: a damaged record is told by file and line, and can be removed" {
        local damage record
        for damage in '' garbage 'paddock-environment x\n' 'paddock-environment 1\nname\tweb\nrule\tno\t/x\n' 'paddock-environment 1\nfoo\n' \
                'paddock-environment 1\nrule\tmirror\trelative\n' 'paddock-environment 1\nname\tweb\nrule\tmirror\t/x\\y\n'; do
                "$PADDOCK" create web
                "$PADDOCK" create well
                record=$(environment_of web)/environment
                printf "$damage" >"$record"
                fails "$record" run -n web true
                fails "$record" show web
                run "$PADDOCK" list
                expect_status 0
                expect_match 'web .*well '
                "$PADDOCK" show well >"$OUT/shown"
                "$PADDOCK" rm web well
        done
        inside -n web sh -c 'echo x >f'
        rm "$(environment_of web)/environment"
        fails 'record' run -n web true
        "$PADDOCK" rm web
}

@test "named: a damaged layer is told, not overwritten" {
        inside -n web sh -c 'echo x >f'
        for path in "$(environment_of web)"/layer/*/path; do
                echo garbage >"$path"
        done
        fails 'damaged' run -n web true
        "$PADDOCK" rm web
}

@test "named: a record of a newer version is refused" {
        "$PADDOCK" create web
        printf 'paddock-environment 99\nwhat\tever\n' >"$(environment_of web)/environment"
        fails 'newer paddock.*99' run -n web true
        fails 'newer paddock' show web
}

@test "named: a state directory of a newer version is refused, and stays as it is" {
        "$PADDOCK" create web
        echo 99 >"$XDG_STATE_HOME/paddock/version"
        untouched "$XDG_STATE_HOME" fails 'newer paddock.*99' run -n web true
        untouched "$XDG_STATE_HOME" fails 'newer paddock' run -n new true
        for verb in list "show web" "rm web" "create new"; do
                # shellcheck disable=SC2086 # a verb with its argument
                untouched "$XDG_STATE_HOME" fails 'newer paddock' $verb
        done
        # a temporary environment does without it
        untouched "$XDG_STATE_HOME" inside true
        echo rubbish >"$XDG_STATE_HOME/paddock/version"
        fails 'damaged' list
}

@test "named: another user's state directory is refused" {
        is_root || skip "only root can make one"
        mkdir -m 700 "$XDG_STATE_HOME/paddock"
        chown 65534 "$XDG_STATE_HOME/paddock"
        untouched "$XDG_STATE_HOME" fails 'belongs to uid 65534' run -n web true
        untouched "$XDG_STATE_HOME" fails 'belongs to uid 65534' list
        untouched "$XDG_STATE_HOME" fails 'belongs to uid 65534' create web
        run inside echo works
        expect_status 0
        expect_match 'works'
        [ "$(stat -c %u "$XDG_STATE_HOME/paddock")" = 65534 ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# explain.bats - `paddock run --explain`: tells what would be done, every rule by name, and does nothing at all.

load common

# explained ARGUMENT... - `paddock run --explain ARGUMENT...`, where nothing may be forked (the limit does not hold root) and
# nothing may be made.
explained()
{
        rmdir "$XDG_STATE_HOME" 2>/dev/null || true
        run untouched "$PLACE" bash -c 'ulimit -u 1; exec "$PADDOCK" run --explain "$@"' bash "$@"
        not exists "$XDG_STATE_HOME"
        not exists "$HOME/.local"
}

# json EXPRESSION - evaluates a Python expression of `j`, what `run` caught.
json()
{
        /usr/bin/python3 -c 'import json, sys; j = json.loads(sys.argv[1]); sys.exit(not eval("(" + sys.argv[2] + ")"))' "$output" "$1" ||
                { printf 'not true: %s\n%s\n' "$1" "$output" >&2; return 1; }
}

make_tree()
{
        mkdir -p "$OUT"/t/{m,s,p,e,h,f,u} "$OUT/src" "$OUT/a" "$OUT/b"
        rules=(--mirror "$OUT/t/m" --share "$OUT/t/s" --private "$OUT/t/p" --empty "$OUT/t/e" --hide "$OUT/t/h"
               --from "$OUT/t/f=$OUT/src" --union "$OUT/t/u=$OUT/a:$OUT/b")
}

@test "explain: as text, every rule is named" {
        make_tree
        explained "${rules[@]}" touch "$OUT/t/s/never"
        expect_status 0
        local name
        for name in m s p e f u; do
                expect_match "$OUT/t/$name "
        done
        expect_match '-[^ ]*out/t/h( |$)|-h( |$)'
        expect_match "$OUT/src"
        expect_match "$OUT/a"
        expect_match "$OUT/b"
        for name in mirror shared private empty  namespaces network identity layer; do
                expect_match "$name"
        done
        not exists "$OUT/t/s/never"
}

@test "explain: as JSON, every rule is named" {
        make_tree
        explained --json "${rules[@]}" touch "$OUT/t/s/never"
        expect_status 0
        json 'set(j) >= {"name", "identity", "namespaces", "network", "layer", "directory", "operations", "notes"}'
        json 'j["name"] is None and j["network"] == "inherit" and "user" in j["namespaces"] and "net" not in j["namespaces"]'
        json 'all(set(o) >= {"kind", "path", "writable"} for o in j["operations"])'
        local name
        for name in m s p e f u; do
                json "[o for o in j['operations'] if o['path'] == '$OUT/t/$name' and o['asked']]"
        done
        json "[n for o in j['operations'] for n in o.get('names', []) if n['kind'] == 'whiteout' and
                o['path'].rstrip('/') + '/' + n['path'] == '$OUT/t/h']"
        json "[o['sources'] for o in j['operations'] if o['path'] == '$OUT/t/u'] == [['$OUT/a', '$OUT/b']]"
        json "[o['writable'] for o in j['operations'] if o['path'] in ('$OUT/t/m', '$OUT/t/s', '$OUT/t/e')].count(False) == 1"
        not exists "$OUT/t/s/never"
}

@test "explain: without rules, and with settings" {
        explained
        expect_status 0
        expect_match '/ '
        explained --net none --hostname inner --session --json true
        expect_status 0
        json 'j["network"] == "none" and "net" in j["namespaces"] and j["session"] is True'
        explained --memory --json true
        json 'j["layer"] == "memory"'
        mkdir "$OUT/root"
        explained --root "$OUT/root" --json true
        json "j['new_root'] is True"
        explained --root empty --empty /x
        expect_status 0
}

@test "explain: names that JSON and terminals cannot hold are escaped" {
        mkdir -p "$OUT/"$'new\nline\e[1m' "$OUT/"$'caf\xe9'
        explained --mirror "$OUT/"$'new\nline\e[1m' --mirror "$OUT/"$'caf\xe9' true
        expect_status 0
        [[ $output != *$'\e'* ]]
        [[ $output != *$'new\nline'* ]]
        explained --json --mirror "$OUT/"$'new\nline\e[1m' --mirror "$OUT/"$'caf\xe9' true
        json "len([o for o in j['operations'] if o['path'].startswith('$OUT/')]) >= 2"
}

@test "explain: a named environment that is not there is not made" {
        explained -n web --hide "$OUT" true
        expect_status 0
        explained -n web --json true
        expect_status 0
        json 'j["name"] == "web"'
}

@test "explain: a named environment that is there is explained and not changed, running or not" {
        mkdir hidden
        inside -n web --hide "$HOME/hidden" --share "$OUT" sh -c 'echo x >f'
        run untouched "$XDG_STATE_HOME" inside --explain -n web
        expect_status 0
        expect_match '-[^ ]*hidden'
        expect_match "$OUT "
        expect_match 'web'
        start inside -n web sh -c 'touch "$OUT/ready"; until [ -e "$OUT/go" ]; do sleep 0.05; done'
        eventually test -e "$OUT/ready"
        run inside --explain --json -n web
        expect_status 0
        json 'j["name"] == "web"'
        touch "$OUT/go"
        ends_with 0
}

@test "explain: a description file" {
        mkdir "$OUT/m" "$OUT/s"
        printf 'name: unused\nview:\n  ./m: mirror\n  ./n: {from: ./s}\n' >"$OUT/e.yaml"
        explained -f "$OUT/e.yaml"
        expect_status 0
        expect_match "$OUT/m "
        expect_match "$OUT/n .*$OUT/s"
        printf 'view:\n  ./m: mirro\n' >"$OUT/e.yaml"
        explained -f "$OUT/e.yaml"
        expect_status 125
        expect_match "e.yaml:2:8: .*'mirror'"
}

@test "explain: errors in rules are the same as without" {
        mkdir -p "$OUT/d"
        touch "$OUT/f"
        local plain rule
        for rule in "--mirror=$OUT/none" "--share=$OUT/none" "--hide=/" "--mirror=/proc" "--from=$OUT/d=$OUT/none" "--from=$OUT/d" \
                "--union=$OUT/d=$OUT/f:$OUT/none" "--root=nowhere" "--net=x" "--hostname=-" "--name=a/b" "--private="; do
                run inside "$rule" true
                expect_status 125
                plain=$output
                rm -rf "$XDG_STATE_HOME"
                explained "$rule" true
                expect_status 125
                expect_output "$plain"
        done
        run inside "--mirror=$OUT/d" "--share=$OUT/d/." true
        plain=$output
        expect_status 125
        rm -rf "$XDG_STATE_HOME"
        explained "--mirror=$OUT/d" "--share=$OUT/d/." true
        expect_output "$plain"
}

@test "explain: --json alone does not run anything different" {
        run inside --json echo x
        [ "$status" = 125 ] || expect_output x
}

@test "explain: what is explained is what is done" {
        make_tree
        explained --json "${rules[@]}"
        local explanation=$output
        mkdir -m 700 "$XDG_STATE_HOME"
        inside "${rules[@]}" cat /proc/self/mountinfo >"$PLACE/mounts"
        /usr/bin/python3 - "$explanation" "$PLACE/mounts" "$OUT/t/" <<'END'
import json, sys
mounts = {line.split()[4]: line.split()[5].split(',') for line in open(sys.argv[2])}
for o in json.loads(sys.argv[1])['operations']:
    if o['path'].startswith(sys.argv[3]):
        assert o['path'] in mounts, o
        assert o['writable'] == ('rw' in mounts[o['path']]), o
END
}

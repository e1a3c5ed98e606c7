#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# view.bats - what names mean inside: every kind of rule, alone, nested in every order, on every kind of name; and that the
# main system is never touched by what is not shared.

load common

# A tree to lay rules on: $OUT/tree with files a, sub/b, sub/deep/c, a link, a program; $OUT/other with a, x.
make_trees()
{
        mkdir -p "$OUT/tree/sub/deep" "$OUT/other/sub" "$OUT/empty"
        echo tree-a >"$OUT/tree/a"
        echo tree-b >"$OUT/tree/sub/b"
        echo tree-c >"$OUT/tree/sub/deep/c"
        ln -s sub/b "$OUT/tree/link"
        printf '#!/bin/sh\necho run\n' >"$OUT/tree/program" && chmod 755 "$OUT/tree/program"
        echo other-a >"$OUT/other/a"
        echo other-x >"$OUT/other/x"
        echo other-sub >"$OUT/other/sub/y"
        T=$OUT/tree
        O=$OUT/other
        export T O
}

# --- each kind -------------------------------------------------------------------------------------------------------

@test "view: private: all kinds of changes are seen inside and not outside" {
        make_trees
        untouched "$OUT" inside --private "$T" sh -ec '
                cd "$T"
                echo new >a; echo more >>sub/b; rm sub/deep/c; mkdir n; mv a n/a; ln -s x s; ln sub/b hard; chmod 600 program
                touch -d 2001-01-01 link sub; rm -r sub/deep; mkdir sub/deep; touch sub/deep/fresh; rmdir n/../sub/deep 2>/dev/null || true
                [ "$(cat n/a)" = new ]; [ "$(cat hard)" = "tree-b
more" ]; [ "$(ls sub/deep)" = fresh ]; [ ! -e a ]; truncate -s 0 program; mkfifo f'
        nothing_left
}

@test "view: without rules what the user can write is private" {
        make_trees
        untouched "$OUT" inside sh -ec 'cd "$T"; echo new >a; rm -r sub; mkdir sub; [ "$(cat a)" = new ]; [ ! -e sub/b ]'
}

@test "view: private on a file: a copy" {
        make_trees
        untouched "$OUT" inside --mirror "$OUT" --private "$T/a" sh -ec 'cat "$T/a"; echo new >"$T/a"; cat "$T/a"'
        run inside --mirror "$OUT" --private "$T/a" sh -c 'cat "$T/a"; echo new >"$T/a"; cat "$T/a"; echo x >"$T/sub/b"'
        [ "${lines[0]}" = tree-a ]
        [ "${lines[1]}" = new ]
        expect_match 'Read-only'
}

@test "view: private on a name that does not exist: an empty directory of the environment's own" {
        make_trees
        untouched "$OUT" inside --private "$T/new/er" sh -ec 'touch "$T/new/er/x"; [ "$(ls "$T/new/er")" = x ]; [ -f "$T/a" ]'
}

@test "view: mirror: read-only in every way, for files and directories" {
        make_trees
        untouched "$OUT" inside --mirror "$T" sh -c '
                cd "$T"; cat a sub/b link; ./program
                for what in "echo x >a" "echo x >new" "rm a" "mkdir d" "mv a b" "chmod 600 a" "touch a" "ln a h" "truncate -s 0 a"; do
                        if eval "$what" 2>/dev/null; then echo "could: $what"; exit 1; fi
                done'
        untouched "$OUT" inside --mirror "$T/a" sh -c 'cat "$T/a"; ! echo x >"$T/a"' 2>/dev/null
}

@test "view: share: writes go through, in both directions, at once" {
        make_trees
        inside --share "$T" sh -ec 'cd "$T"; echo new >a; rm sub/b; mkdir d; touch d/x'
        [ "$(cat "$T/a")" = new ]
        not test -e "$T/sub/b"
        [ -e "$T/d/x" ]
        [ "$(stat -c %u:%g "$T/d/x")" = "$(id -u):$(id -g)" ]
        # what appears outside appears inside
        start inside --share "$T" sh -c 'touch "$T/ready"; until [ -e "$T/go" ]; do sleep 0.02; done; touch "$T/went"'
        eventually test -e "$T/ready"
        touch "$T/go"
        eventually test -e "$T/went"
}

@test "view: share on a file" {
        make_trees
        inside --share "$T/a" sh -c 'echo shared >"$T/a"; echo private >"$T/sub/b"'
        [ "$(cat "$T/a")" = shared ]
        [ "$(cat "$T/sub/b")" = tree-b ]
}

@test "view: empty: a place of its own, writable" {
        make_trees
        untouched "$OUT" inside --empty "$T" sh -ec 'cd "$T"; [ -z "$(ls -A)" ]; echo x >a; mkdir sub; [ "$(cat a)" = x ]'
        untouched "$OUT" inside --empty "$T/a" sh -ec '[ -f "$T/a" ]; [ ! -s "$T/a" ]; echo x >"$T/a"; [ "$(cat "$T/a")" = x ]; [ -f "$T/sub/b" ]'
        untouched "$OUT" inside --empty "$T/none" sh -ec 'cd "$T/none"; touch x; [ -f ../a ]'
}

@test "view: hide: the name is not there, for files, directories and links" {
        make_trees
        for name in a sub program; do
                untouched "$OUT" inside --hide "$T/$name" sh -c '
                        [ ! -e "$T/$1" ] && ! ls -A "$T" | grep -qx "$1" && [ "$(ls -A "$T" | wc -l)" = 3 ]' sh "$name"
        done
        # a name that is not there is hidden already
        inside --hide "$T/none" test -f "$T/a"
        # and may be made anew in a private tree
        untouched "$OUT" inside --hide "$T/a" sh -ec 'echo mine >"$T/a"; [ "$(cat "$T/a")" = mine ]'
        untouched "$OUT" inside --hide "$T/sub" sh -ec 'mkdir "$T/sub"; [ -z "$(ls -A "$T/sub")" ]'
}

@test "view: hide below a mirror, and below a share" {
        make_trees
        untouched "$OUT" inside --mirror "$T" --hide "$T/a" --hide "$T/sub/deep" sh -ec '
                cd "$T"; [ ! -e a ]; [ ! -e sub/deep ]; [ -f sub/b ]; [ -x program ]; ! touch new 2>/dev/null'
        # a shared name cannot vanish without vanishing outside: it is closed
        untouched "$OUT" inside --share "$T" --hide "$T/a" --hide "$T/sub" sh -c '
                cd "$T"; [ -z "$(cat a 2>/dev/null)" ] && [ -z "$(ls -A sub 2>/dev/null)" ] && ! cat sub/b 2>/dev/null && ! echo x >a'  2>/dev/null
}

@test "view: from: a directory, a file" {
        make_trees
        untouched "$OUT" inside --from "$T=$O" sh -ec 'cd "$T"; [ "$(cat a)" = other-a ]; [ "$(cat x)" = other-x ]; [ ! -e program ]
                echo changed >a; [ "$(cat a)" = changed ]; [ "$(cat "$O/a")" = other-a ]'
        untouched "$OUT" inside --from "$T/a=$O/x" sh -ec '[ "$(cat "$T/a")" = other-x ]; [ "$(cat "$T/sub/b")" = tree-b ]'
        untouched "$OUT" inside --from "/etc/hosts=$O/x" sh -ec '[ "$(cat /etc/hosts)" = other-x ]; [ -s /etc/passwd ]'
}

@test "view: from and empty onto names that do not exist outside: in a private tree, below /, below a mirror, in /etc" {
        make_trees
        for where in "$HOME/new" "$HOME/new/deep/er" /nonexistent-by-test /nonexistent-by-test/deep "$T/new" /usr/share/new-by-test /etc/new-by-test/x \
                /usr/new-by-test; do
                untouched "$OUT" inside --mirror "$T" --from "$where=$O" sh -ec '[ "$(cat "$1/a")" = other-a ]; [ -s /etc/passwd ]; [ -x /usr/bin/env ]' sh "$where"
                untouched "$OUT" inside --mirror "$T" --from "$where=$O/x" sh -ec '[ "$(cat "$1")" = other-x ]; [ -s /etc/passwd ]' sh "$where"
                untouched "$OUT" inside --mirror "$T" --empty "$where" sh -ec 'touch "$1/y"; [ "$(ls "$1")" = y ]' sh "$where"
                not test -e "$where"
        done
        untouched "$OUT" inside --mirror "$T" --from "$T/new=$O" sh -ec '[ "$(cat "$T/a")" = tree-a ]; [ "$(cat "$T/link")" = tree-b ]; ! touch "$T/b"' 2>/dev/null
}

@test "view: names below / stay as they are when one is added" {
        inside --empty /nonexistent-by-test ls -1 / >inside.txt
        diff <(ls -1 /; echo nonexistent-by-test) <(sort inside.txt) | grep '^[<>]' >difference || true
        diff <( (ls -1 /; echo nonexistent-by-test) | sort) <(sort inside.txt)
}

@test "view: union: the first that has a name wins, directories are one" {
        make_trees
        untouched "$OUT" inside --union "$OUT/both=$O:$T" sh -ec 'cd "$OUT/both"
                [ "$(cat a)" = other-a ]; [ "$(cat x)" = other-x ]; [ "$(cat sub/b)" = tree-b ]; [ "$(cat sub/y)" = other-sub ]; ./program
                echo w >a; [ "$(cat a)" = w ]; rm x; [ ! -e x ]'
        untouched "$OUT" inside --union "$T=$T:$O" sh -ec 'cd "$T"; [ "$(cat a)" = tree-a ]; [ "$(cat x)" = other-x ]'
        untouched "$OUT" inside --union "$T=$O" sh -ec '[ "$(cat "$T/a")" = other-a ]'
}

# --- which rule holds --------------------------------------------------------------------------------------------------

@test "view: the longest path wins, whatever the order on the command line" {
        make_trees
        check='! touch "$T/new" 2>/dev/null && touch "$T/sub/shared" && ! touch "$T/sub/deep/no" 2>/dev/null && [ "$(cat "$T/sub/deep/c")" = tree-c ]'
        a=(--mirror "$T") b=(--share "$T/sub") c=(--mirror "$T/sub/deep")
        for order in 'abc' 'acb' 'bac' 'bca' 'cab' 'cba'; do
                rules=()
                for ((i = 0; i < 3; i++)); do
                        declare -n one=${order:i:1}
                        rules+=("${one[@]}")
                done
                rm -f "$T/sub/shared"
                inside "${rules[@]}" sh -c "$check"
                [ -e "$T/sub/shared" ]
                not test -e "$T/new"
        done
}

# probe KIND DIR - inside: does DIR behave as KIND says? The file "mark" outside tells what is seen of it.
probe='probe() {
        case $1 in
        private) [ "$(cat "$2/mark")" = outside ] && echo x >"$2/touched" && echo y >"$2/mark" ;;
        mirror) [ "$(cat "$2/mark")" = outside ] && ! { echo x >"$2/touched"; } 2>/dev/null ;;
        share) [ "$(cat "$2/mark")" = outside ] && echo x >"$2/touched" && rm "$2/touched" ;;
        empty) [ ! -e "$2/mark" ] && echo x >"$2/touched" ;;
        hide) [ ! -e "$2/mark" ] ;;
        from) [ "$(cat "$2/mark")" = from ] && echo x >"$2/touched" ;;
        union) [ "$(cat "$2/mark")" = from ] && echo x >"$2/touched" ;;
        esac || { echo "not $1: $2"; ls -la "$2"; exit 1; }
}'

@test "view: every kind in every other kind, two levels" {
        mkdir -p "$OUT/n/one/two" "$OUT/src/two" "$OUT/more"
        for d in "$OUT/n" "$OUT/n/one" "$OUT/n/one/two"; do echo outside >"$d/mark"; done
        echo from >"$OUT/src/mark"
        echo from >"$OUT/src/two/mark"
        rule() {
                case $1 in
                from) echo "--from=$2=$OUT/src" ;;
                union) echo "--union=$2=$OUT/src:$OUT/more" ;;
                *) echo "--$1=$2" ;;
                esac
        }
        failures=
        for outer in private mirror share empty hide from union; do
                for inner in private mirror share empty hide from union; do
                        second=$inner
                        code=0
                        before=$(snapshot "$OUT" | sed 's/\t[0-9.]*\t$//')
                        said=$(inside "$(rule "$outer" "$OUT/n/one")" "$(rule "$inner" "$OUT/n/one/two")" \
                                sh -c "$probe"'
                                probe '"$inner"' "$OUT/n/one/two"
                                [ '"$outer$inner"' = sharehide ] || { [ '"$outer"' = hide ] && exit; probe '"$outer"' "$OUT/n/one"; }' 2>&1) || code=$?
                        # what is seen through must exist where it is looked up: below empty and hide the rule is meant for outside
                        [ "$code" = 0 ] || failures+="$inner in $outer: $code: $said"$'\n'
                        [ "$before" = "$(snapshot "$OUT" | sed 's/\t[0-9.]*\t$//')" ] || failures+="$inner in $outer: changed the outside"$'\n'
                done
        done
        echo "$failures"
        [ -z "$failures" ]
}

@test "view: three and four levels, alternating" {
        d=$OUT/n
        mkdir -p "$d/1/2/3/4"
        for dir in "$d" "$d/1" "$d/1/2" "$d/1/2/3" "$d/1/2/3/4"; do echo outside >"$dir/mark"; done
        mkdir "$OUT/src" && echo from >"$OUT/src/mark"
        for kinds in 'mirror private mirror share' 'private mirror private mirror' 'empty mirror empty private' 'share mirror share private' \
                'mirror empty share empty' 'hide private mirror private' 'private share private share' 'empty empty empty empty' \
                'mirror mirror mirror private' 'hide hide share mirror' 'share empty'; do
                set -- $kinds
                rules=() path=$d code="$probe"
                [ "$kinds" != 'share empty' ] || mkdir "$d/1/x"
                for kind in "$@"; do
                        path=$path/$(( ${#rules[@]} + 1 ))
                        rules+=("--$kind=$path")
                        code+="; probe $kind \"$path\""
                done
                # a hidden directory with a rule below it is there to hold that
                echo "$kinds"
                inside "${rules[@]}" sh -c "$code"
                rm -rf "$d/1/x"
        done
}

@test "view: a rule below a from shows the main system again; sources are those of outside" {
        make_trees
        mkdir -p "$O/sub/deep"; echo other-deep >"$O/sub/deep/c"
        untouched "$OUT" inside --from "$T=$O" --mirror "$T/sub" sh -ec 'cd "$T"; [ "$(cat sub/b)" = tree-b ]; touch new; ! touch sub/new' 2>/dev/null
        untouched "$OUT" inside --from "$T=$O" --from "$T/sub=$T/sub/deep" sh -ec '[ "$(cat "$T/sub/c")" = tree-c ]; [ "$(cat "$T/a")" = other-a ]'
        # sources are meant as they are outside, also when a rule covers them
        untouched "$OUT" inside --hide "$O" --from "$T=$O" sh -ec '[ ! -e "$O" ]; [ "$(cat "$T/a")" = other-a ]'
        untouched "$OUT" inside --from "$T=$O" --from "$O=$T" sh -ec '[ "$(cat "$T/a")" = other-a ]; [ "$(cat "$O/a")" = tree-a ]'
}

# --- names ----------------------------------------------------------------------------------------------------------------

@test "view: rules through symbolic links hold for what the link leads to" {
        make_trees
        ln -s "$T" "$HOME/link"
        ln -s link "$HOME/second"
        ln -s ../tree/sub "$O/across"
        inside --share "$HOME/second/sub" sh -ec 'echo 1 >"$T/sub/new"; echo 2 >"$T/no"; echo 3 >"$HOME/link/sub/two"'
        [ -e "$T/sub/new" ]
        [ -e "$T/sub/two" ]
        not test -e "$T/no"
        rm "$T/sub/new" "$T/sub/two"
        untouched "$OUT" inside --mirror "$O/across" sh -c '! touch "$T/sub/x"' 2>/dev/null
        untouched "$OUT" inside --from "$HOME/link/a=$HOME/second/sub/b" sh -ec '[ "$(cat "$T/a")" = tree-b ]'
        ln -s loop2 "$HOME/loop1"; ln -s loop1 "$HOME/loop2"
        refused 'too many symbolic links' --mirror "$HOME/loop1/x"
        ln -s "$OUT/nowhere/at/all" "$HOME/dangling"
        untouched "$OUT" inside --empty "$HOME/dangling" sh -ec 'touch "$HOME/dangling/x"; [ -e "$OUT/nowhere/at/all/x" ]'
}

@test "view: two names of one place contradict each other or are the same rule" {
        make_trees
        ln -s "$T" "$HOME/link"
        refused 'contradict' --share "$T" --mirror "$HOME/link"
        refused 'contradict' --share "$T" --mirror "$T/"
        refused 'contradict' --share "$T" --mirror "$T/sub/.."
        refused 'contradict|two rules' --from "$T=$O" --from "$T=$OUT/empty"
        inside --mirror "$T" --mirror "$HOME/link" true
        inside --mirror "$T" --mirror "$T" true
        inside --from "$T=$O" --from "$T=$O" true
}

@test "view: relative names, dot and dot-dot, double and trailing slashes, ~" {
        make_trees
        ln -s other "$OUT/jump"
        cd "$T/sub"
        for name in ../sub . ./ ../../tree/sub "$T//sub/" "$T/./sub/." "$T/sub/deep/.." ../../jump/../tree/sub; do
                rm -f new
                inside --mirror "$T" --share "$name" touch "$T/sub/new" || { echo "$name"; false; }
                [ -e new ]
        done
        rm new
        HOME=$OUT
        untouched "$OUT" inside --mirror '~/tree' sh -c '! touch "$T/x"' 2>/dev/null
        untouched "$OUT" inside --mirror '~' sh -c '! touch "$OUT/x"' 2>/dev/null
        # ".." after a link is the parent of what the link leads to
        mkdir -p "$OUT/far/away"; ln -s far/away "$OUT/leap"
        inside --mirror "$OUT" --share "$OUT/leap/.." touch "$OUT/far/x"
        [ -e "$OUT/far/x" ]
}

@test "view: names with spaces, newlines, quotes, non-ASCII, invalid UTF-8, backslash" {
        make_trees
        for name in 'with space' $'new\nline' "quo'te\"s" 'größe' $'\xff\xfe' 'tab	tab' '*?[x]' '-dash' '~' 'a,b' '%s%n' '$HOME' '#x' 'x\012y' 'back\slash'; do
                mkdir -p -- "$OUT/$name/sub"
                echo found >"$OUT/$name/f"
                printf '%q\n' "$name"
                inside --mirror "$OUT" --share "$OUT/$name/sub" touch -- "$OUT/$name/sub/x"
                [ -e "$OUT/$name/sub/x" ]
                untouched "$OUT" inside --mirror "$OUT" --empty "$OUT/$name/sub/new" touch -- "$OUT/$name/sub/new/x"
                untouched "$OUT" inside --hide "$OUT/$name" test ! -e "$OUT/$name"
                escaped=${name//\\/\\\\}
                [ "$(inside --from "$OUT/tree=$OUT/$escaped" cat "$T/f")" = found ]
                [ "$(inside --from "$HOME/$escaped=$O" cat "$HOME/$name/a")" = other-a ]
        done
}

@test "view: '=' and ':' in names, escaped with a backslash" {
        make_trees
        mkdir "$OUT/a=b" "$OUT/c:d"; echo eq >"$OUT/a=b/f"; echo colon >"$OUT/c:d/g"
        [ "$(inside --from "$OUT/a\\=b=$O" cat "$OUT/a=b/a")" = other-a ]
        [ "$(inside --from "$T=$OUT/a\\=b" cat "$T/f")" = eq ]
        [ "$(inside --from "$T=$OUT/a=b" cat "$T/f")" = eq ]
        [ "$(inside --union "$T=$OUT/c\\:d:$OUT/a=b" sh -c 'cat "$T/f" "$T/g"')" = $'eq\ncolon' ]
        inside --mirror "$OUT" --share "$OUT/a=b" touch "$OUT/a=b/x"
        [ -e "$OUT/a=b/x" ]
        [ "$(inside --from "$T=$OUT/c:d" cat "$T/g")" = colon ]
}

@test "view: 64 levels deep" {
        deep=$OUT
        for i in $(seq 64); do deep=$deep/$i; done
        mkdir -p "$deep" && echo down >"$deep/f"
        inside --mirror "$OUT" --share "$deep" sh -ec '[ "$(cat "$1/f")" = down ]; touch "$1/x"; ! touch "$1/../x" 2>/dev/null' sh "$deep"
        [ -e "$deep/x" ]
        untouched "$OUT" inside --empty "$deep/more/and/more" touch "$deep/more/and/more/x"
        cd "$deep"
        [ "$(inside pwd)" = "$deep" ]
        untouched "$OUT" inside sh -ec 'echo x >f; rm x; cd ..; rm -r 64; mkdir 64'
}

@test "view: rules at 64 levels of one path, alternating" {
        deep=$OUT rules=()
        for i in $(seq 64); do
                deep=$deep/$i
                if ((i % 2)); then rules+=(--mirror "$deep"); else rules+=(--private "$deep"); fi
        done
        mkdir -p "$deep"
        untouched "$OUT" inside "${rules[@]}" sh -ec 'touch "$1/x"; ! touch "$1/../x" 2>/dev/null; touch "$1/../../x"' sh "$deep"
}

@test "view: a component of 255 bytes" {
        name=$(head -c 255 /dev/zero | tr '\0' n)
        mkdir "$OUT/$name" && echo long >"$OUT/$name/f"
        inside --mirror "$OUT" --share "$OUT/$name" sh -ec 'cat "$1/f"; touch "$1/x"' sh "$OUT/$name"
        [ -e "$OUT/$name/x" ]
        [ "$(inside --from "$HOME/$name=$OUT/$name" cat "$HOME/$name/f")" = long ]
        run inside --empty "$HOME/${name}n" true
        [ "$status" = 125 ]
        expect_match '^paddock: '
}

@test "view: a path of about 4,000 bytes" {
        part=$(head -c 200 /dev/zero | tr '\0' p)
        long=$OUT
        while [ $((${#long} + 201)) -lt 4000 ]; do long=$long/$part; done
        mkdir -p "$long" && echo far >"$long/f"
        inside --mirror "$OUT" --share "$long" sh -ec 'cat "$1/f"; touch "$1/x"' sh "$long"
        [ -e "$long/x" ]
        [ "$(inside --from "$HOME/n=$long" cat "$HOME/n/f")" = far ]
        untouched "$OUT" inside --hide "$long" test ! -e "$long"
        cd "$long"
        [ "$(inside cat f)" = far ]
}

@test "view: a path that is too long is refused by name" {
        part=$(head -c 200 /dev/zero | tr '\0' p)
        long=$OUT
        while [ ${#long} -lt 5000 ]; do long=$long/$part; done
        run inside --empty "$long" true
        expect_status 125
        expect_match '^paddock: '
}

# --- what is refused --------------------------------------------------------------------------------------------------------

@test "view: contradictory rules" {
        make_trees
        refused 'contradict each other: share and mirror' --share "$T" --mirror "$T"
        refused 'contradict each other' --empty "$T" --hide "$T"
        refused 'contradict each other' --private "$T" --from "$T=$O"
        refused 'contradict|two rules' --union "$T=$T:$O" --union "$T=$O:$T"
        # directories that lie in each other cannot be one
        refused 'union' --union "$T=$O:$O/sub"
}

@test "view: missing sources and targets" {
        make_trees
        refused "$OUT/none does not exist" --from "$T=$OUT/none"
        refused "$OUT/none does not exist" --union "$T=$O:$OUT/none"
        refused "$OUT/none does not exist" --share "$OUT/none"
        refused "$OUT/none does not exist" --mirror "$OUT/none"
        refused 'not a directory' --union "$T=$O:$O/a"
        refused 'not a directory' --empty "$O/a/b"
        refused 'paddock: .*--empty' --mirror "$OUT/none"
        refused 'is shared for writing' --share "$T" --empty "$T/none"
        refused 'is shared for writing' --share "$T" --from "$T/none=$O"
        refused 'is shared for writing' --share "$T" --from "$T/a=$O"
        untouched "$OUT" inside --share "$T" --from "$T/sub=$O" test -f "$T/sub/x"
}

@test "view: the root and the places that an environment always has" {
        refused 'root directory cannot be hidden' --hide /
        refused '/proc' --share /proc
        refused '/proc' --empty /proc
        refused 'paddock:' --empty /dev/nothing/x --share /dev
        refused 'empty path' --mirror ''
        refused 'PATH=SRC' --from "$HOME="
}

@test "view: from with a source of another type" {
        make_trees
        # over a file stands a directory, and the other way round, where the tree is the environment's own
        untouched "$OUT" inside --from "$T/a=$O" sh -ec '[ "$(cat "$T/a/x")" = other-x ]; [ "$(cat "$T/sub/b")" = tree-b ]'
        untouched "$OUT" inside --from "$T/sub=$O/x" sh -ec '[ "$(cat "$T/sub")" = other-x ]'
        untouched "$OUT" inside --mirror "$T" --from "$T/a=$O" sh -ec '[ "$(cat "$T/a/x")" = other-x ]'
}

# --- the state directory ------------------------------------------------------------------------------------------------------

# Inside, a look for anything of the state under any name.
seek_state='{ echo x >"$HOME/layer-file"; } 2>/dev/null
        for dir in "$@"; do
                find "$dir" -xdev \( -path "*/layer/[0-9]*" -o -name alive.lock \) 2>/dev/null
                ls -A "$dir/paddock/env" "$dir/paddock/tmp" "$dir/.local/state/paddock/env" "$dir/.local/state/paddock/tmp" 2>/dev/null
        done | grep -v ":$" | grep .'

@test "view: the state directory is not visible, under any rule" {
        make_trees
        inside -n kept true
        [ -d "$XDG_STATE_HOME/paddock/env/kept" ]
        # found outside by the same means
        [ -n "$(sh -c "$seek_state" sh "$XDG_STATE_HOME")" ]
        rm -f layer-file
        rules=('' "--share=$HOME" "--share=$PLACE" "--mirror=$PLACE" "--share=$XDG_STATE_HOME" "--mirror=$XDG_STATE_HOME" "--private=$XDG_STATE_HOME"
                '--mirror=/' "--from=$T=$PLACE" "--from=$T=$XDG_STATE_HOME" "--union=$T=$OUT/empty:$XDG_STATE_HOME" '--share=/var' '--share=/')
        for rule in "${rules[@]}"; do
                run inside ${rule:+"$rule"} sh -c "$seek_state" sh "$XDG_STATE_HOME" "$T" "$PLACE"
                echo "rule '$rule': status $status: $output"
                expect_output ''
        done
        refused "own state" "--share=$XDG_STATE_HOME/paddock"
        refused "own state" "--mirror=$XDG_STATE_HOME/paddock/env"
        refused "own state" "--from=$T=$XDG_STATE_HOME/paddock"
        refused "own state" "--from=$T=$XDG_STATE_HOME/paddock/env/kept"
        rm -f layer-file
}

@test "view: the state directory in its usual place, with the whole home shared or shown elsewhere" {
        make_trees
        unset XDG_STATE_HOME
        mkdir -p "$HOME/.local/state"
        inside -n kept true
        for rule in '' "--share=$HOME" '--share=/' "--from=$T=$HOME" "--union=$T=$O:$HOME" "--share=$HOME/.local" "--mirror=$HOME/.local/state"; do
                run inside ${rule:+"$rule"} sh -c "$seek_state" sh "$HOME" "$T"
                echo "rule '$rule': status $status: $output"
                expect_output ''
        done
        # what is made inside under the name of the state is not the outer one
        inside --share "$HOME" sh -c 'mkdir -p "$HOME/.local/state/paddock/env/evil"; rm -rf "$HOME/.local/state/paddock/env/kept"'
        [ -d "$HOME/.local/state/paddock/env/kept" ]
        not test -e "$HOME/.local/state/paddock/env/evil"
        XDG_STATE_HOME=$HOME/.local/state
}

@test "view: the state directory through a symbolic link" {
        make_trees
        mkdir "$OUT/real-state"
        ln -s "$OUT/real-state" "$HOME/linked"
        XDG_STATE_HOME=$HOME/linked
        inside -n kept true
        [ -d "$OUT/real-state/paddock/env/kept" ]
        for rule in '' "--share=$OUT" "--from=$T=$OUT/real-state"; do
                run inside ${rule:+"$rule"} sh -c "$seek_state" sh "$OUT/real-state" "$HOME/linked" "$T"
                expect_output ''
        done
        refused "own state" "--share=$OUT/real-state/paddock"
}

@test "view: the state directory is covered under the other name that a bind mount gives it" {
        is_root || unshare -Urm true
        make_trees
        mkdir "$OUT/bound"
        cat >script <<'END'
set -e
mount --bind "$PLACE" "$OUT/bound"
"$PADDOCK" run -n kept true
for rule in --private=/nothing-at-all "--share=$OUT/bound" "--share=$OUT" --share=/ "--from=$T=$OUT/bound" "--mirror=$OUT/bound/state"; do
        "$PADDOCK" run "$rule" sh -c "$SEEK" sh "$OUT/bound" "$OUT/bound/state" "$T" "$XDG_STATE_HOME" && { echo "seen under $rule"; exit 1; }
done
if "$PADDOCK" run --share="$OUT/bound/state/paddock" true; then echo "shared"; exit 1; fi
exit 0
END
        export SEEK=$seek_state
        if is_root; then
                run unshare -m bash script
        else
                run unshare -Urm --map-current-user --keep-caps bash script
        fi
        expect_status 0
}

# --- what is outside ------------------------------------------------------------------------------------------------------------

@test "view: share /: everything is as it is outside, and may be written where the user may" {
        make_trees
        inside true
        inside --share / sh -ec 'echo new >"$T/a"; [ -s /etc/passwd ]'
        [ "$(cat "$T/a")" = new ]
        untouched "$OUT" inside --share / --private "$T" sh -ec 'echo newer >"$T/a"; [ "$(cat "$T/a")" = newer ]'
}

@test "view: share of everything that the state directory would lie in, when there is none yet" {
        for options in '--share /' "--share $PLACE" "--memory --share $PLACE" '--memory --share /'; do
                rm -rf "$XDG_STATE_HOME"
                echo "$options"
                # shellcheck disable=SC2086
                inside $options touch "$OUT/x"
                [ -e "$OUT/x" ]
                rm "$OUT/x"
        done
}

@test "view: mirror /: nothing can be written" {
        make_trees
        run inside --mirror / sh -c 'touch "$T/x" "$HOME/x" /tmp/x /var/tmp/x /x /etc/x'
        [ "$status" != 0 ]
        [ "$(grep -c 'Read-only\|Permission' <<<"$output")" = 6 ]
        inside --mirror / --empty "$HOME" sh -ec 'touch "$HOME/x"; [ "$(ls "$HOME")" = x ]; [ -s /etc/passwd ]'
}

@test "view: an empty root with a few directories" {
        make_trees
        run inside --root empty --mirror /usr --mirror /lib --mirror /lib64 --mirror /bin --mirror "$T" sh -c 'cat "$T/a"; ls /; [ ! -e /etc ]'
        expect_status 0
        expect_match tree-a
        not grep -x home <<<"$output"
        untouched "$OUT" inside --root empty --mirror /usr --from /bin=/usr/bin --from /lib=/usr/lib --from /lib64=/usr/lib64 --from /data="$T" \
                sh -ec 'echo x >/data/a; echo y >/new; [ "$(cat /data/sub/b)" = tree-b ]; [ ! -e /etc/passwd ]'
        not test -e /new
}

@test "view: a directory as the root" {
        mkdir -p "$OUT/root/etc" "$OUT/root/usr" "$OUT/root/tmp"
        for d in bin lib lib64; do ln -s "usr/$d" "$OUT/root/$d"; done
        echo inner >"$OUT/root/etc/issue"
        untouched "$OUT" inside --root "$OUT/root" --mirror /usr --from /usr=/usr true || true
        untouched "$OUT" inside --root "$OUT/root" --from /usr=/usr /bin/sh -ec '[ "$(cat /etc/issue)" = inner ]; echo x >/etc/issue; echo y >/new; ls / >/dev/null; [ ! -e /var ]'
        (cd "$OUT" && untouched "$OUT" inside --root root --from /usr=/usr /bin/sh -c '[ "$(cat /etc/issue)" = inner ]')
}

@test "view: fifos, sockets and unreadable things in a private tree" {
        make_trees
        mkfifo "$T/fifo"
        /usr/bin/python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/socket"
        mkdir -m 0 "$T/closed"
        touch "$T/secret" && chmod 0 "$T/secret"
        run inside sh -c 'ls -A "$T"; [ -p "$T/fifo" ]; [ -S "$T/socket" ]; rmdir "$T/closed"; rm -f "$T/secret" "$T/fifo"'
        expect_status 0
        [ -d "$T/closed" ]
        [ -p "$T/fifo" ]
        for kind in private mirror hide empty; do
                inside "--$kind=$T/fifo" true
                inside "--$kind=$T/socket" true
        done
}

@test "view: a socket outside that something listens on cannot be reached, unless shared" {
        make_trees
        start /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); open(sys.argv[1] + ".up", "w")
while True:
    c = s.accept()[0]; c.sendall(b"reached"); c.close()' "$T/server"
        eventually test -e "$T/server.up"
        ask='import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(99).decode())'
        run /usr/bin/python3 -c "$ask" "$T/server"
        expect_output reached
        run inside /usr/bin/python3 -c "$ask" "$T/server"
        [ "$status" = 1 ]
        expect_match 'ConnectionRefused|PermissionError'
        run inside --share "$T" /usr/bin/python3 -c "$ask" "$T/server"
        expect_output reached
}

@test "view: times, modes, owners and links are seen as outside" {
        make_trees
        touch -d '2011-11-11 11:11:11.123456789' "$T/a"
        chmod 4751 "$T/program"
        chmod 1777 "$T/sub"
        for rule in '' "--mirror=$T" "--share=$T" "--private=$T" "--private=$T/sub"; do
                diff <(cd "$T" && find . -printf '%p %y %m %s %u %g %T@ %l\n' | sort) \
                     <(inside ${rule:+"$rule"} sh -c 'cd "$T" && find . -printf "%p %y %m %s %u %g %T@ %l\n"' | sort)
        done
}

@test "view: ACLs and extended attributes are seen and can be changed" {
        make_trees
        /usr/bin/python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.colour", b"green")' "$T/a"
        run inside /usr/bin/python3 -c '
import os, sys
print(os.getxattr(sys.argv[1], "user.colour").decode())
os.setxattr(sys.argv[1], "user.colour", b"red")
print(os.getxattr(sys.argv[1], "user.colour").decode())' "$T/a"
        expect_output $'green\nred'
        [ "$(/usr/bin/python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "user.colour").decode())' "$T/a")" = green ]
}

@test "view: directories of the layer can be renamed, whole trees moved and removed" {
        make_trees
        untouched "$OUT" inside sh -ec 'cd "$T"; mkdir new; mv new newer; mv sub moved; [ "$(cat moved/deep/c)" = tree-c ]; [ ! -e sub ]
                rm -rf moved newer; mkdir sub; [ -z "$(ls -A sub)" ]; cp -a "$O" copy; mv copy sub/; [ -f sub/copy/x ]; rm -rf ./*'
}

@test "view: mounts of the view cannot be undone from inside" {
        make_trees
        run inside --mirror "$T" --hide "$O" unshare -Urm sh -c '
                umount "$T" && echo umounted
                mount -o remount,bind,rw "$T" && echo remounted
                touch "$T/x" && echo written
                umount -l / ; umount -l "$OUT"; ls "$O" && echo seen
                exit 0'
        not grep -xE 'umounted|remounted|written|seen' <<<"$output"
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# diff.bats - `paddock diff`: every kind of change, told exactly, and nothing else.

load common
load layers

json() { /usr/bin/python3 -c 'import json, sys; j = json.load(sys.stdin); sys.exit(not eval("(" + sys.argv[1] + ")"))' "$1"; }

# --- one change each -------------------------------------------------------------------------------------------------

# one PREPARE CHANGE [LINE...] - after PREPARE outside and CHANGE inside, diff tells the lines.
one()
{
        local prepare=$1 change=$2

        shift 2
        sweep
        (cd "$HOME" && sh -ec "$prepare")
        (cd "$HOME" && sh_in "$change")
        if [ $# = 0 ]; then no_changes; else expect_changes "$@"; fi || { echo "prepared: $prepare; inside: $change" >&2; return 1; }
}

@test "diff: nothing was done, nothing is told" {
        one '' true
        one 'echo x >f' 'cat f'
}

@test "diff: touched but equal is no change" {
        one 'echo x >f' 'touch f'
        one 'echo x >f' 'echo x >f'
        one 'echo x >f' 'chmod 600 f; chmod 644 f'
        one 'echo x >f' 'cp f g; mv g f'
        one 'echo x >f' 'echo y >f; echo x >f'
        one 'echo x >f' 'mv f g; mv g f'
        one 'mkdir d' 'touch d/x; rm d/x'
        one 'mkdir d; echo x >d/x' 'rm -r d; mkdir d; echo x >d/x'
        one 'ln -s a l' 'rm l; ln -s a l'
        one '' 'echo x >f; rm f'
        one 'mkfifo p' 'rm p; mkfifo p'
        one 'echo x >f; setfattr -n user.a -v 1 f' 'setfattr -n user.a -v 2 f; setfattr -n user.a -v 1 f'
        one 'truncate -s 1M f' 'rm f; head -c 1048576 /dev/zero >f'
}

@test "diff: files added, changed, deleted" {
        one '' 'echo x >f' 'A  f'
        one '' ': >f' 'A  f'
        one 'echo x >f' 'echo y >f' 'M  f  (content)'
        one 'echo x >f' 'echo y >>f' 'M  f  (content)'
        one 'echo x >f' ': >f' 'M  f  (content)'
        one 'echo x >f' 'rm f; echo z >f' 'M  f  (content)'
        one 'echo x >f' 'rm f' 'D  f'
        one 'mkdir d; echo x >d/f' 'echo y >d/f' 'M  d/f  (content)'
        one 'mkdir -p a/b/c' 'echo y >a/b/c/d' 'A  a/b/c/d'
}

@test "diff: permissions, attributes, access lists" {
        one 'echo x >f' 'chmod 600 f' 'M  f  (mode 644 -> 600)'
        one 'echo x >f' 'chmod 4755 f' 'M  f  (mode 644 -> 4755)'
        one 'echo x >f' 'chmod 0 f' 'M  f  (mode 644 -> 000)'
        one 'mkdir d' 'chmod 700 d' 'M  d/  (mode 755 -> 700)'
        one 'echo x >f' 'echo y >f; chmod 600 f' 'M  f  (content, mode 644 -> 600)'
        one 'echo x >f' 'setfattr -n user.a -v 1 f' 'M  f  (attributes)'
        one 'echo x >f; setfattr -n user.a -v 1 f' 'setfattr -x user.a f' 'M  f  (attributes)'
        one 'echo x >f; setfattr -n user.a -v 1 f' 'setfattr -n user.a -v 2 f' 'M  f  (attributes)'
        one 'mkdir d' 'setfattr -n user.a -v 1 d' 'M  d/  (attributes)'
        one 'echo x >f' "setfacl -m u:$(id -u):r f" 'M  f  (access list)'
        one 'mkdir d' "setfacl -d -m u:$(id -u):r d" 'M  d/  (access list)'
}

@test "diff: links, fifos, sockets" {
        one '' 'ln -s a l' 'A  l  (symlink)'
        one 'ln -s a l' 'rm l' 'D  l  (symlink)'
        one 'ln -s a l' 'ln -sfn b l' 'M  l  (target)'
        one '' 'mkfifo p' 'A  p  (fifo)'
        one 'mkfifo p' 'rm p' 'D  p  (fifo)'
        one '' '/usr/bin/python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\"s\")"' 'A  s  (socket)'
        one '' 'echo x >a; ln a b; ln a c' 'A  a' "A  b  (hard link to a)" "A  c  (hard link to a)"
        one 'echo x >a' 'ln a b' "A  b  (hard link to a)"
        one 'echo x >b' 'ln b a' 'A  a' "M  b  (hard link to a)"
        one 'echo x >a; ln a b' 'true'
}

@test "diff: directories added, deleted, replaced" {
        one '' 'mkdir d' 'A  d/'
        one '' 'mkdir -p d/e; touch d/e/f' 'A  d/' 'A  d/e/' 'A  d/e/f'
        one 'mkdir d; touch d/f' 'rm -r d' 'D  d/'
        one 'mkdir d; touch d/f d/g' 'rm -r d; mkdir d' 'D  d/f' 'D  d/g'
        one 'mkdir d; touch d/f d/g' 'rm -r d; mkdir d; touch d/g d/h' 'D  d/f' 'A  d/h'
        one 'mkdir -p d/e/f; touch d/e/f/g' 'rm -r d; mkdir -p d/e' 'D  d/e/f/'
        one 'mkdir -p d/e/f; touch d/e/f/g' 'rm -r d; mkdir -p d/e/f; touch d/e/f/h' 'D  d/e/f/g' 'A  d/e/f/h'
        one 'mkdir d; touch d/f' 'rm -r d; mkdir -m 700 d; touch d/f' 'M  d/  (mode 755 -> 700)'
}

@test "diff: one type for another" {
        one 'echo x >f' 'rm f; mkdir f' 'T  f/  (file -> directory)'
        one 'echo x >f' 'rm f; mkdir f; touch f/g' 'T  f/  (file -> directory)' 'A  f/g'
        one 'mkdir d; touch d/x' 'rm -r d; echo y >d' 'T  d  (directory -> file)'
        one 'echo x >f' 'ln -sf y f' 'T  f  (file -> symlink)'
        one 'ln -s y l' 'rm l; echo x >l' 'T  l  (symlink -> file)'
        one 'mkdir d' 'rmdir d; ln -s x d' 'T  d  (directory -> symlink)'
        one 'echo x >f' 'rm f; mkfifo f' 'T  f  (file -> fifo)'
}

@test "diff: a rename is told when it is proven, else what was added and deleted" {
        one 'echo x >f' 'mv f g' 'R  f -> g'
        one 'echo x >g' 'mv g f' 'R  g -> f'
        one 'mkdir d; echo x >f' 'mv f d/f' 'R  f -> d/f'
        one 'echo x >f; echo y >h' 'mv f g; mv h i' 'R  f -> g' 'R  h -> i'
        one 'echo x >f' 'mv f g; echo y >>g' 'D  f' 'A  g'
        one 'echo x >f' 'cp -p f g; rm f' 'D  f' 'A  g'
        one 'mkdir d; echo x >d/f' 'mv d e' 'D  d/' 'A  e/' 'A  e/f'
        one 'echo x >a; echo x >b' 'mv a c' 'R  a -> c'
}

@test "diff: what a rule hides or adds is no change; a file and a directory of the environment's own" {
        mkdir d && echo x >d/a && echo y >file
        "$PADDOCK" run -n env --hide "$HOME/d/a" --empty "$HOME/own" --private "$HOME/file" --empty "$HOME/deep/er" true
        no_changes
        "$PADDOCK" run -n env sh -ec 'echo z >>file; echo o >own/o'
        expect_changes 'M  file  (content)' 'A  own/o'
}

@test "diff: a directory that is private entry by entry, because mounts lie below it" {
        is_root || skip 'needs a mount'
        id paddock-test >/dev/null 2>&1 || skip 'needs the user paddock-test'
        unshare -m true || skip 'no mount namespace'
        mkdir -p split/mounted && echo x >split/mine && echo y >split/roots && echo z >split/gone && chown -R paddock-test "$PLACE"
        chown root split/roots && echo s >split/secret && chmod 600 split/secret && chmod 755 "$PLACE" "$HOME"
        unshare -m --propagation private bash -ec '
                mount -t tmpfs none split/mounted
                setpriv --reuid paddock-test --regid paddock-test --clear-groups "$PADDOCK" run -n env -- sh -ec "echo in >>split/mine; rm split/gone; touch split/new"
                setpriv --reuid paddock-test --regid paddock-test --clear-groups "$PADDOCK" diff env' >said
        diff <(printf 'D  %s\nM  %s  (content)\nA  %s\n' "$HOME/split/gone" "$HOME/split/mine" "$HOME/split/new") said
}

@test "diff: files without any permission are read" {
        one 'echo x >f' 'chmod 0 f' 'M  f  (mode 644 -> 000)'
        one '' 'mkdir d; touch d/f; chmod 0 d' 'A  d/' 'A  d/f'
        one 'mkdir d; touch d/g' 'touch d/f; chmod 0 d' 'M  d/  (mode 755 -> 000)' 'A  d/f'
}

@test "diff: names that no terminal should see are escaped" {
        one '' 'touch "a
b" "$(printf "x\033[2Jy")" "$(printf "\377")" "back\\slash" "‮rtl"' 'A  a\nb' 'A  back\\slash' 'A  x\x1b[2Jy' 'A  \xe2\x80\xaertl' 'A  \xff'
}

# --- what can be asked -----------------------------------------------------------------------------------------------

@test "diff: only what is at or below the paths, relative ones and those through links too" {
        mkdir -p d/e other && ln -s d link
        sh_in 'touch d/x d/e/y other/z top'
        run changes d
        expect_output 'A  d/e/y
A  d/x'
        run changes d/e top
        expect_output 'A  d/e/y
A  top'
        run changes "$HOME/other/z"
        expect_output 'A  other/z'
        run changes link/e
        expect_output 'A  d/e/y'
        cd d
        run changes . ../top
        expect_output 'A  d/e/y
A  d/x
A  top'
        fails "has no change at or below $HOME/none" diff env "$HOME/none"
        fails "is relative|has no change" diff env nothing
}

@test "diff: an environment that is not there, or none named" {
        fails "there is no environment 'nobody'" diff nobody
        fails 'which environment' diff
        fails 'one of --json' diff --json --stat env
}

@test "diff: lines that differ in text; binary files are named" {
        printf 'a\nb\nc\n' >t && head -c 100 /dev/zero >bin
        sh_in 'printf "a\nB\nc\n" >t; echo x >>bin; echo new >n; rm -f gone'
        run changes -u
        expect_output "M  bin  (content)
binary files differ
A  n
--- /dev/null
+++ bn
@@ -0,0 +1 @@
+new
M  t  (content)
--- at
+++ bt
@@ -1,3 +1,3 @@
 a
-b
+B
 c" || {
                # the home directory stands in the labels
                expect_match '@@ -1,3 \+1,3 @@'
        }
        "$PADDOCK" diff -u env t | patch -p1 -d / --dry-run -s
}

@test "diff: sizes and counts" {
        echo 12345 >f && echo x >gone
        sh_in 'echo 1 >f; rm gone; head -c 2048 /dev/zero >big'
        run changes --stat
        expect_output 'A  big  2.0 KiB
M  f  (content)  6 B -> 2 B
D  gone  2 B
1 added, 1 changed, 0 replaced, 1 deleted, 0 renamed; 2.0 KiB in files added or changed'
}

@test "diff: times only when asked for" {
        echo x >f
        sh_in 'touch -d 2001-01-01 f'
        no_changes
        run changes --times
        expect_match 'M  f  \(time\)'
}

@test "diff: JSON is one array, with what the lines tell" {
        echo x >f && echo y >g && mkdir d && echo m >moved
        run "$PADDOCK" diff --json env
        expect_status 125
        sh_in 'echo z >f; rm g; rmdir d; echo t >d; mv moved to; touch "$(printf "\377")"; ln f f2'
        "$PADDOCK" diff --json env >j
        json '[c["change"] for c in j] == ["replaced", "changed", "added", "deleted", "renamed", "added"]' <j
        json 'j[1]["what"] == ["content"] and j[1]["before"]["size"] == 2 and j[1]["after"]["mode"] == "0644"' <j
        json 'j[2]["link"].endswith("/f") and j[4]["from"].endswith("/moved") and j[4]["path"].endswith("/to")' <j
        json 'j[5]["escaped"] and j[5]["path"].endswith("\\xff")' <j
        json 'j[0]["before"]["type"] == "directory" and j[0]["after"]["type"] == "file"' <j
        "$PADDOCK" discard env
        "$PADDOCK" diff --json env >j
        json 'j == []' <j
}

@test "diff: on a running environment" {
        mkdir d
        start inside -n env --share "$OUT" sh -c 'echo x >d/f; touch "$OUT/on"; until [ -e "$OUT/end" ]; do sleep 0.05; done'
        eventually test -e "$OUT/on"
        expect_changes 'A  d/f'
        touch "$OUT/end"
        ends_with 0
        expect_changes 'A  d/f'
}

@test "diff: a terminal gets colour and a pager, and no control characters of a file" {
        sh_in 'printf "one\033]0;title\007\n" >f'
        TERM=xterm PAGER='cat >"$OUT/paged"' $PTY -- "$PADDOCK" diff -u env >/dev/null
        grep -F "$(printf '\033[32m')A  $HOME/f" "$OUT/paged"
        grep -F 'one\x1b]0;title\x07' "$OUT/paged"
        NO_COLOR=1 TERM=xterm $PTY -- "$PADDOCK" diff --no-pager env >"$OUT/plain"
        grep -F "A  $HOME/f" "$OUT/plain"
        not grep -F "$(printf '\033')" "$OUT/plain"
}

@test "diff: reading stops when nobody reads" {
        sh_in 'i=0; while [ $i -lt 3000 ]; do : >"file-with-a-longer-name-$i"; i=$((i+1)); done'
        run bash -c '"$PADDOCK" diff env | head -1'
        expect_output "A  $HOME/file-with-a-longer-name-0"
        [ "$("$PADDOCK" diff env | wc -l)" = 3000 ]
        "$PADDOCK" diff env >one && "$PADDOCK" diff env >two && cmp one two
        LC_ALL=C sort -c one
}

@test "diff: a layer that was damaged by hand is named, and the rest is told" {
        sh_in 'echo x >f; echo y >g'
        for cover in "$XDG_STATE_HOME"/paddock/env/env/layer/*/cover; do echo rubbish >"$cover"; done
        fails 'damaged' diff env
        rm "$XDG_STATE_HOME"/paddock/env/env/layer/*/cover
        expect_changes 'A  f' 'A  g'
}

# --- random ----------------------------------------------------------------------------------------------------------

@test "diff: after random changes, what is not told is equal" {
        for seed in 1 2 3 4 5 6; do
                sweep
                mkdir t
                $TREES make "$seed" t
                $TREES show t >"$PLACE/before"
                env_run $TREES change "$seed" t
                env_run $TREES show t >"$PLACE/inside"
                told=$("$PADDOCK" diff env | wc -l)
                $TREES show t | diff "$PLACE/before" -
                if cmp -s "$PLACE/before" "$PLACE/inside"; then [ "$told" = 0 ]; else [ "$told" -gt 0 ]; fi
        done
}

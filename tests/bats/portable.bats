#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# portable.bats - `paddock export` and `import`: a whole environment as one file, for tar and for paddock, complete or not at all, and
# whatever a hostile one says.

load common
load layers

PORTABLE="/usr/bin/python3 $BATS_TEST_DIRNAME/portable.py"

env_of() { "$PADDOCK" run -n "$1" -- $TREES show "$2"; }
names() { "$PADDOCK" list | sed '1d; s/ .*//'; }
nothing_half() { [ -z "$(ls -A "$XDG_STATE_HOME/paddock/tmp" 2>/dev/null)" ] && [ -z "$(ls -A "$XDG_STATE_HOME/paddock/frozen" 2>/dev/null)" ]; }
needs_user() { ! is_root || skip 'of an ordinary user'; }
needs_ids()
{
        needs_user
        [ -r /dev/fuse ] && [ -w /dev/fuse ] && command -v newuidmap >/dev/null && grep -q "^$(id -un):" /etc/subuid || skip 'no root inside here'
}

many_kinds()
{
        mkdir -p k/d k/old && echo base >k/d/f && echo g >k/g && echo x >k/old/x && tick
        sh_in 'cd k; echo one >d/f; rm g; echo n >n; ln n m; ln n d/m; ln -s nowhere l; mkfifo p; truncate -s 60M big; echo tail >>big; setfattr -n user.a -v b n
                setfacl -m u::rw- n; rm -r old; mkdir old; echo y >old/y; mkdir "$HOME/locked"; echo y >"$HOME/locked/y"; chmod 0 "$HOME/locked/y" "$HOME/locked"; touch "new
line" "back\slash"; mkdir -p "$(printf %0200d 1)/$(printf %0200d 2)"; touch -d 1960-01-01 "$(printf %0200d 1)/$(printf %0200d 2)/f"
                /usr/bin/python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")"'
}

@test "export, import: every kind of file comes back, and the changes are the same" {
        many_kinds
        changes >"$PLACE/before"
        env_run $TREES show k >"$PLACE/inside"
        untouched "$HOME" "$PADDOCK" export env "$OUT/e.tar"
        [ "$(stat -c %s "$OUT/e.tar")" -lt 1000000 ]
        untouched "$HOME" "$PADDOCK" import "$OUT/e.tar" again
        "$PADDOCK" diff again --no-pager | sed "s|$HOME/||g" | diff "$PLACE/before" -
        "$PADDOCK" run -n again -- $TREES show k | diff "$PLACE/inside" -
        "$PADDOCK" run -n again sh -ec 'cd k; [ -S sock ]; [ -p p ]; [ "$(stat -c %b big)" -lt 1000 ]; [ "$(stat -c %Y 0*/0*/f)" -lt 0 ]
                [ "$(stat -c %a ../locked)" = 0 ]; chmod 700 ../locked; [ "$(stat -c %a:%s ../locked/y)" = 0:2 ]'
        # Once more out of what was restored: the same.
        "$PADDOCK" export again "$OUT/a.tar"
        "$PADDOCK" import "$OUT/a.tar" third
        "$PADDOCK" run -n third -- $TREES show k | diff "$PLACE/inside" -
        nothing_left
}

@test "export: tar and sha256sum can look into it" {
        many_kinds
        "$PADDOCK" export env "$OUT/e.tar"
        tar -tf "$OUT/e.tar" >"$OUT/list"
        grep -q '/upper/.*k/d/f$' "$OUT/list"
        mkdir "$OUT/x" && cd "$OUT/x"
        tar -xf "$OUT/e.tar" 2>/dev/null || ! is_root # who is not root makes no devices
        chmod -R u+rwX .
        sha256sum -c --quiet paddock-manifest
        /usr/bin/python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).getmembers()' "$OUT/e.tar"
        tail -c 1536 "$OUT/e.tar" | head -c 512 | grep -q '^sha256 '
}

@test "export, import: through a pipe, as JSON, under its own name" {
        sh_in 'echo x >f'
        "$PADDOCK" export env - >"$OUT/e.tar"
        "$PADDOCK" rm env
        "$PADDOCK" import --json - <"$OUT/e.tar" >"$OUT/j"
        /usr/bin/python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); assert j["name"] == "env" and len(j["sha256"]) == 64 and j["bytes"] > 2048, j' "$OUT/j"
        sh_in '[ "$(cat f)" = x ]'
        "$PADDOCK" export env && [ -s env.paddock.tar ]
        fails 'cannot hold both' export --json env -
        fails 'there is an environment .env. already' import env.paddock.tar
        fails 'cannot name an environment' import env.paddock.tar ../x
        fails "no environment 'nobody'" export nobody
        fails 'No such file' import nowhere.tar
        fails 'is running|no environment' export none
        [ "$(names)" = env ]
}

@test "export: one that runs is refused, and told what to do" {
        start inside -n env --share "$OUT" sh -c 'touch f "$OUT/on"; until [ -e "$OUT/end" ]; do sleep 0.05; done'
        eventually test -e "$OUT/on"
        fails 'is running.*clone' export env "$OUT/e.tar"
        [ ! -e "$OUT/e.tar" ]
        touch "$OUT/end"
        ends_with 0
}

@test "export, import: snapshots, and what they share" {
        needs_user
        sh_in 'head -c 300000 /dev/urandom >big; echo 1 >f'
        "$PADDOCK" snapshot env one
        sh_in 'echo 2 >f; rm big'
        "$PADDOCK" snapshot env two
        sh_in 'echo 3 >f'
        "$PADDOCK" export env "$OUT/e.tar"
        [ "$(stat -c %s "$OUT/e.tar")" -lt 600000 ]
        "$PADDOCK" rm env && "$PADDOCK" gc
        "$PADDOCK" import "$OUT/e.tar"
        "$PADDOCK" import "$OUT/e.tar" other
        sh_in '[ "$(cat f)" = 3 ]; [ ! -e big ]'
        [ "$("$PADDOCK" snapshot --list env | tr '\n' ' ')" = 'one two ' ]
        "$PADDOCK" reset env one
        sh_in '[ "$(cat f)" = 1 ]; [ "$(stat -c %s big)" = 300000 ]'
        "$PADDOCK" rm env && "$PADDOCK" gc
        "$PADDOCK" reset other two
        "$PADDOCK" run -n other sh -ec '[ "$(cat f)" = 2 ]; [ ! -e big ]'
}

@test "import: another home directory; and a commit that can prove nothing refuses" {
        needs_user
        echo base >f && echo base >g && tick
        sh_in 'echo in >f; rm g; echo new >n'
        "$PADDOCK" export env "$OUT/e.tar"
        HOME=$PLACE/second && mkdir "$HOME" && cd "$HOME" && echo theirs >f && tick
        "$PADDOCK" import "$OUT/e.tar" there
        "$PADDOCK" run -n there sh -ec '[ "$(cat f n)" = "in
new" ]'
        fails 'f: whether it was changed outside since cannot be told' commit there
        [ "$(cat f)" = theirs ]
        "$PADDOCK" commit there n
        "$PADDOCK" commit there --force f
        [ "$(cat f n)" = 'in
new' ]
}

@test "import: a commit replaces what is, by its digest, what the changes were made from, and refuses the rest by name" {
        needs_user
        setup_bases() { mkdir -p d/e r && echo base >f && echo base >g && echo x >d/e/x && ln -s old l && echo b >h && echo b >moved && echo o >r/o && echo m >m && chmod 640 m
                echo base >touched && chmod 644 f g h moved touched && chmod 755 d d/e r; }
        setup_bases && tick
        sh_in 'echo in >f; rm -r d g; rm l; ln -s new l; sed -i s/b/B/ h; mv moved away; echo y >>away; chmod 755 r; rm -r r; echo file >r; chmod 600 m; echo in >touched; echo n >n'
        "$PADDOCK" export env "$OUT/e.tar"
        tar -xOf "$OUT/e.tar" bases | grep -c -E '^[0-9a-f]{64} ' | grep -qx 9
        HOME=$PLACE/second && mkdir "$HOME" && cd "$HOME" && setup_bases && tick
        "$PADDOCK" import "$OUT/e.tar" there
        echo theirs >f && echo theirs >>d/e/x && echo 'base' >touched && chmod 600 g
        fails 'f: .*' commit there
        for path in f d g; do grep -q "$HOME/$path: " <<<"$output" || { echo "not refused: $path" >&2; return 1; }; done
        for path in l h moved away r m touched n; do ! grep -q "$HOME/$path: " <<<"$output" || { echo "refused: $path" >&2; return 1; }; done
        "$PADDOCK" commit there l h moved away r m touched n
        [ "$(readlink l):$(cat h away r touched n | tr '\n' ' '):$(stat -c %a m)" = 'new:B b y file in n :600' ]
        [ ! -e moved ] && [ "$(cat f g d/e/x | tr '\n' ' ')" = 'theirs base x theirs ' ]
        # As it was again: then it goes.
        chmod 644 g && echo x >d/e/x && echo base >f && tick && tick
        "$PADDOCK" commit there
        [ "$(cat f)" = in ] && [ ! -e g ] && [ ! -e d ]
        nothing_left
}

@test "import: digests prove nothing of a change made after discard or reset; export and clone carry them on" {
        needs_user
        echo base >f && echo base >g && echo base >s && tick
        sh_in 'echo in >f; echo in >g'
        "$PADDOCK" snapshot env one
        "$PADDOCK" export env "$OUT/e.tar"
        "$PADDOCK" import "$OUT/e.tar" second
        "$PADDOCK" export second "$OUT/s.tar"
        "$PADDOCK" import "$OUT/s.tar" third
        "$PADDOCK" clone third fourth
        "$PADDOCK" commit fourth -n | grep -q '^M .*/f '
        "$PADDOCK" reset third one
        fails 'f: whether it was changed outside' commit third
        # One change of two is discarded, and made anew over another outside, which then is as it was.
        sh_in 'echo 3 >s'
        "$PADDOCK" rm env && sh_in 'echo in >f; echo in >g' && "$PADDOCK" export env "$OUT/p.tar" && "$PADDOCK" import "$OUT/p.tar" plain
        "$PADDOCK" discard plain f
        echo other >f && "$PADDOCK" run -n plain sh -c 'echo in2 >f' && tick && echo base >f
        fails 'f: it was changed outside' commit plain f
        "$PADDOCK" commit plain g
        [ "$(cat f g)" = "base
in" ]
}

@test "import: what a run here does not show is named" {
        sh_in 'echo new >n'
        "$PADDOCK" export env "$OUT/e.tar"
        /usr/bin/python3 - "$BATS_TEST_DIRNAME" "$OUT/x.tar" <<-'END'
		import os, sys
		os.environ["HOME"] = "/nowhere/at/all"
		sys.path.insert(0, sys.argv[1])
		sys.argv = ["x", "cases"]
		import contextlib, io
		with contextlib.redirect_stdout(io.StringIO()):
		    import portable
		open(os.environ["OUT"] + "/x.tar", "wb").write(portable.build("good"))
	END
        run "$PADDOCK" import "$OUT/x.tar" strange
        expect_status 0
        expect_match 'changed in /nowhere/at/all is not seen in a run here'
        run "$PADDOCK" import "$OUT/e.tar" plain
        expect_status 0
        [[ $output != *'not seen'* ]]
}

@test "import: root's environment of an ordinary user, with all its owners" {
        needs_ids
        "$PADDOCK" run -n env --as root -- sh -ec 'echo x >>/etc/hosts; echo new >/etc/paddock-new; chown 33:42 /etc/paddock-new; mkdir -m 700 /srv/pd
                echo f >/srv/pd/f; cp /bin/true /srv/pd/t; chown -R 5 /srv/pd; chmod 4755 /srv/pd/t; setcap cap_net_raw+ep /srv/pd/t; setfacl -m u:77:r /srv/pd/f; rm -r /etc/apt'
        "$PADDOCK" diff env >"$PLACE/before"
        "$PADDOCK" export env "$OUT/e.tar"
        tar --numeric-owner -tvf "$OUT/e.tar" | grep -E '^-rw-r--r-- 33/42 .*etc/paddock-new$'
        "$PADDOCK" import "$OUT/e.tar" again
        "$PADDOCK" diff again | diff "$PLACE/before" -
        "$PADDOCK" run -n again -- sh -ec '[ "$(stat -c %u:%g:%a /etc/paddock-new /srv/pd/t | tr "\n" " ")" = "33:42:644 5:0:755 " ] || stat -c %u:%g:%a /srv/pd/t
                getcap /srv/pd/t | grep -q cap_net_raw; getfacl -n /srv/pd/f | grep -q user:77:r--; [ ! -e /etc/apt ]; tail -1 /etc/hosts | grep -qx x'
        "$PADDOCK" rm env && "$PADDOCK" rm again
        nothing_left
}

@test "import: nothing hostile gets in, and nothing is left of it" {
        "$PADDOCK" create mine
        while IFS=$'\t' read -r case says; do
                $PORTABLE "$OUT/x.tar" "$case"
                if [ -z "$says" ]; then
                        "$PADDOCK" import "$OUT/x.tar"
                        "$PADDOCK" diff guest | grep -qx "A  $HOME/f"
                        "$PADDOCK" rm guest
                        continue
                fi
                run untouched "$OUT" "$PADDOCK" import "$OUT/x.tar"
                expect_status 125 || { echo "case $case" >&2; return 1; }
                expect_match "$says" || { echo "case $case" >&2; return 1; }
                [ "$(names)" = mine ] && nothing_half || { echo "case $case left something" >&2; return 1; }
                [ ! -e "$OUT/planted" ] && [ ! -e /tmp/paddock-hostile ]
        done < <($PORTABLE cases)
}

@test "import: cut short anywhere, or one bit changed anywhere: refused, and nothing is left" {
        sh_in 'mkdir d; for i in 1 2 3; do echo "text $i" >d/$i; done; ln -s x l; rm -f none'
        "$PADDOCK" export env "$OUT/e.tar"
        "$PADDOCK" rm env
        size=$(stat -c %s "$OUT/e.tar")
        for at in 0 1 511 512 600 1024 5000 $((size / 2)) $((size - 2048)) $((size - 1024)) $((size - 512)) $((size - 1)); do
                head -c "$at" "$OUT/e.tar" >"$OUT/cut"
                fails 'truncated|no tar archive|empty' import "$OUT/cut"
                [ -z "$(names)" ] && nothing_half
        done
        for try in $(seq 40); do
                at=$(((RANDOM * 32768 + RANDOM) % size))
                /usr/bin/python3 -c 'import sys; b = bytearray(open(sys.argv[1], "rb").read()); b[int(sys.argv[2])] ^= 1 << int(sys.argv[3]); open(sys.argv[4], "wb").write(b)' \
                        "$OUT/e.tar" "$at" "$((RANDOM % 8))" "$OUT/bad"
                fails 'paddock: ' import "$OUT/bad"
                [ -z "$(names)" ] && nothing_half || { echo "bit at $at" >&2; return 1; }
        done
}

@test "import: killed at every change that it makes, it is there whole or not at all" {
        strace -o /dev/null true 2>/dev/null || skip 'no strace'
        many_kinds
        env_run $TREES show k >"$PLACE/inside"
        is_root || "$PADDOCK" snapshot env one
        "$PADDOCK" export env "$OUT/e.tar"
        for call in mkdirat renameat fsync syncfs linkat fchmod fsetxattr symlinkat mknodat utimensat openat unlinkat; do
                for when in 1 2 3 7 30; do
                        strace -f -o /dev/null -e trace=none -e inject="$call":signal=KILL:when="$when" "$PADDOCK" import "$OUT/e.tar" again >/dev/null 2>&1 || true
                        if [ -e "$XDG_STATE_HOME/paddock/env/again" ]; then
                                "$PADDOCK" run -n again -- $TREES show k | diff "$PLACE/inside" - || { echo "cut off at $call $when" >&2; return 1; }
                                "$PADDOCK" rm again
                        fi
                done
        done
        "$PADDOCK" import "$OUT/e.tar" again
        "$PADDOCK" run -n again -- $TREES show k | diff "$PLACE/inside" -
}

@test "export: killed, or a full disk: no file under its name" {
        is_root || skip 'needs a small file system'
        sh_in 'head -c 3000000 /dev/urandom >f'
        mkdir small && unshare -m true || skip 'no mount namespace'
        unshare -m bash -ec '
                mount -t tmpfs -o size=1m small small
                ! "$PADDOCK" export env small/e.tar 2>says
                grep -q "No space left" says
                [ -z "$(ls small)" ]'
        "$PADDOCK" export env "$OUT/e.tar"
        unshare -m bash -ec '
                mount -t tmpfs -o size=1m small small
                ! XDG_STATE_HOME=$PWD/small "$PADDOCK" import "$OUT/e.tar" 2>says
                grep -q "No space left" says
                [ -z "$(find small/paddock/env small/paddock/tmp -mindepth 1 2>/dev/null)" ]'
}

@test "export, import: random trees with random changes" {
        for seed in 81 82 83; do
                sweep
                mkdir t
                $TREES make "$seed" t
                env_run $TREES change "$seed" t 40
                is_root || "$PADDOCK" snapshot env one
                env_run $TREES change "9$seed" t 20
                env_of env t >"$PLACE/inside"
                "$PADDOCK" export env "$OUT/e.tar"
                "$PADDOCK" import "$OUT/e.tar" again
                env_of again t | diff "$PLACE/inside" -
        done
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What a grant shows and lets do: everything that a file system does, and what changes outside meanwhile.

load common

@test "programs find in a grant what they find natively" {
        mkdir "$OUT/native" "$OUT/granted"
        "$TOOLS/semantics" "$OUT/native" >"$PLACE/native"
        grants
        add 1 rw "$OUT/granted"
        within "$TOOLS/semantics" /mnt/1 >"$PLACE/granted"
        [ "$(wc -l <"$PLACE/native")" -gt 150 ]
        diff "$PLACE/native" "$PLACE/granted"
        [ -z "$(ls -A "$OUT/granted")" ]
        leave
}

@test "the same on a tmpfs" {
        world
        out mount -t tmpfs some "$OUT"
        out mkdir "$OUT/native" "$OUT/granted"
        out "$TOOLS/semantics" "$OUT/native" >"$PLACE/native"
        grants
        add 1 rw "$OUT/granted"
        within "$TOOLS/semantics" /mnt/1 >"$PLACE/granted"
        diff "$PLACE/native" "$PLACE/granted"
        leave
}

@test "random reads, writes, mappings, truncations, holes and copies agree with a model" {
        grants
        add 1 rw "$OUT"
        for seed in 1 2 3; do
                within "$TOOLS/consistent" "/mnt/1/f$seed" "$OUT/f$seed" "$RANDOM$seed" 4000
        done
        leave
}

@test "a single file: read, written, appended to, mapped; and taken back" {
        echo one >"$OUT/file"
        grants
        add 1 rw,file "$OUT/file"
        within test -f /mnt/1
        [ "$(within cat /mnt/1)" = one ]
        within sh -c 'echo two >>/mnt/1'
        [ "$(cat "$OUT/file")" = $'one\ntwo' ]
        within sh -c 'echo three >/mnt/1'
        [ "$(cat "$OUT/file")" = three ]
        within "$TOOLS/consistent" /mnt/1 "$OUT/file" 5 2000
        not within rm /mnt/1
        revoke 1
        not within cat /mnt/1
        say add 2 rw,file "$OUT"
        [ "$answer" = "Invalid argument" ]
        say add 3 rw "$OUT/file"
        [ "$answer" = "Not a directory" ]
        leave
}

@test "a single file goes on to be what it was when its name is given to another" {
        echo old >"$OUT/file"
        grants
        add 1 rw,file "$OUT/file"
        echo new >"$OUT/other"
        mv "$OUT/other" "$OUT/file"
        [ "$(within cat /mnt/1)" = old ]
        within sh -c 'echo more >>/mnt/1'
        [ "$(cat "$OUT/file")" = new ]
        leave
}

@test "what changes outside is seen within a second" {
        mkdir "$OUT/d"
        echo one >"$OUT/d/file"
        touch "$OUT/d/goes"
        grants
        add 1 rw "$OUT"
        [ "$(within cat /mnt/1/d/file)" = one ]
        not within test -e /mnt/1/d/new
        within ls -l /mnt/1/d
        echo longer than before >"$OUT/d/file"
        touch "$OUT/d/new"
        rm "$OUT/d/goes"
        chmod 600 "$OUT/d/file"
        seen grep -q longer /mnt/1/d/file
        seen test -e /mnt/1/d/new
        seen sh -c '! test -e /mnt/1/d/goes'
        seen sh -c '[ "$(stat -c %a /mnt/1/d/file)" = 600 ]'
        # What replaces a file by rename, as editors save.
        echo saved >"$OUT/d/.tmp"
        mv "$OUT/d/.tmp" "$OUT/d/file"
        [ "$(within cat /mnt/1/d/file)" = saved ]
        # What is changed in place, without another size.
        echo SAVED >"$OUT/d/file"
        [ "$(within cat /mnt/1/d/file)" = SAVED ]
        echo again >"$OUT/d/file"
        [ "$(within cat /mnt/1/d/file)" = again ]
        leave
}

@test "a descriptor and a mapping see what is changed outside" {
        head -c 8192 /dev/zero | tr '\0' a >"$OUT/file"
        grants
        add 1 rw "$OUT"
        start within sh -c "exec 5</mnt/1/file; head -c 10 <&5 >/dev/null; echo in; until [ -e '$GO' ]; do sleep 0.05; done
                sleep 1.2; head -c 10 <&5" >"$PLACE/got"
        eventually said in "$PLACE/got"
        head -c 8192 /dev/zero | tr '\0' b | dd of="$OUT/file" conv=notrunc status=none
        touch "$GO"
        ends_with 0
        grep -q bbbbbbbbbb "$PLACE/got"
        leave
}

@test "a file that is moved outside stays itself for who has it open" {
        echo text >"$OUT/a"
        grants
        add 1 rw "$OUT"
        start within sh -c "exec 5<>/mnt/1/a; echo in; until [ -e '$GO' ]; do sleep 0.05; done; cat <&5; echo more >&5" >"$PLACE/got"
        eventually said in "$PLACE/got"
        mv "$OUT/a" "$OUT/b"
        echo other >"$OUT/a"
        touch "$GO"
        ends_with 0
        [ "$(cat "$PLACE/got")" = $'in\ntext' ]
        [ "$(cat "$OUT/b")" = $'text\nmore' ]
        [ "$(cat "$OUT/a")" = other ]
        [ "$(within cat /mnt/1/a)" = other ]
        leave
}

@test "a directory that is moved outside can be found again" {
        mkdir -p "$OUT/a/b/c"
        echo text >"$OUT/a/b/c/file"
        grants
        add 1 rw "$OUT"
        within cat /mnt/1/a/b/c/file
        mv "$OUT/a/b" "$OUT/z"
        seen sh -c '! test -e /mnt/1/a/b'
        seen grep -q text /mnt/1/z/c/file
        mkdir "$OUT/z/c/deep"
        mv "$OUT/a" "$OUT/z/c/deep/"
        seen test -d /mnt/1/z/c/deep/a
        mv "$OUT/z/c" "$OUT/c"
        mv "$OUT/z" "$OUT/c/deep/a/"
        seen test -d /mnt/1/c/deep/a/z
        within sh -c 'echo found >/mnt/1/c/deep/a/z/new'
        [ "$(cat "$OUT/c/deep/a/z/new")" = found ]
        leave
}

@test "locks hold against programs outside, both ways, of both kinds; who waits gets them" {
        touch "$OUT/file"
        grants
        add 1 rw "$OUT"
        for kind in flock posix; do
                rm -f "$GO"
                start within_tool take /mnt/1/file $kind >"$PLACE/said"
                eventually said taken "$PLACE/said"
                not tool try "$OUT/file" $kind
                not within_tool try /mnt/1/file $kind
                start within_tool wait /mnt/1/file $kind >"$PLACE/waits"
                waiting=$started
                sleep 0.2
                not said got "$PLACE/waits"
                touch "$GO"
                eventually said got "$PLACE/waits"
                wait "$waiting"
                eventually tool try "$OUT/file" $kind

                rm -f "$GO"
                start tool take "$OUT/file" $kind >"$PLACE/said"
                eventually said taken "$PLACE/said"
                not within_tool try /mnt/1/file $kind
                start within_tool wait /mnt/1/file $kind >"$PLACE/waits"
                waiting=$started
                sleep 0.2
                not said got "$PLACE/waits"
                touch "$GO"
                wait "$waiting"
                said got "$PLACE/waits"
        done
        leave
}

@test "who waits for a lock can be killed, and is refused at a revoke" {
        touch "$OUT/file"
        grants
        add 1 rw "$OUT"
        start tool take "$OUT/file" posix >"$PLACE/said"
        eventually said taken "$PLACE/said"
        start within_tool wait /mnt/1/file posix
        sleep 0.2
        kill -TERM "$started"
        ends_with 143
        start within_tool wait /mnt/1/file posix
        sleep 0.2
        revoke 1
        [ "$stuck" = 0 ]
        ends_with 1
        touch "$GO"
        leave
}

@test "links are text: what they lead to is looked up inside" {
        echo secret >"$PLACE/secret"
        ln -s "$PLACE/secret" "$OUT/absolute"
        ln -s ../secret "$OUT/up"
        ln -s inner "$OUT/link"
        echo inner >"$OUT/inner"
        grants
        add 1 rw "$OUT"
        [ "$(within readlink /mnt/1/up)" = ../secret ]
        not within cat /mnt/1/up
        [ "$(within cat /mnt/1/link)" = inner ]
        within ln -sfn other /mnt/1/link
        [ "$(readlink "$OUT/link")" = other ]
        leave
}

@test "every name that a file can have, and long and deep ones" {
        local long
        long=$(printf 'n%.0s' {1..255})
        touch "$OUT/$long" "$OUT/"$'new\nline' "$OUT/"$'not\xff\xfeutf' "$OUT/ -rf *" "$OUT/..."
        grants
        add 1 rw "$OUT"
        [ "$(within find /mnt/1 -mindepth 1 -printf '%P %s\n' | sort | cksum)" = "$(find "$OUT" -mindepth 1 -printf '%P %s\n' | sort | cksum)" ]
        # Deeper than a path can be long.
        within python3 -c "
import os
os.chdir('/mnt/1')
for i in range(40):
    os.mkdir('d' * 200)
    os.chdir('d' * 200)
open('bottom', 'w').write('here')
os.rename('bottom', 'renamed')
assert open('renamed').read() == 'here'
os.unlink('renamed')
for i in range(40):
    os.chdir('..')
    os.rmdir('d' * 200)
"
        leave
}

@test "a directory with 20,000 entries: each is listed once, also while others come and go" {
        mkdir "$OUT/d"
        (cd "$OUT/d" && seq -f 'entry-%g' 20000 | xargs touch)
        grants
        add 1 rw "$OUT"
        start sh -c "cd '$OUT/d'; for i in \$(seq 300); do touch new-\$i; rm new-\$i; done"
        [ "$(within ls /mnt/1/d | grep -c entry-)" = 20000 ]
        [ "$(within ls -l /mnt/1/d | grep -c entry-)" = 20000 ]
        ends_with 0
        [ "$(descriptors)" -lt 60 ]
        within rm -r /mnt/1/d
        not test -e "$OUT/d"
        leave
}

@test "git works in it" {
        command -v git >/dev/null || skip "there is no git"
        grants
        add 1 rw "$OUT"
        within env HOME=/mnt/1 sh -ec 'cd /mnt/1; git init -q r; cd r; git config user.email a@b; git config user.name n
                for i in $(seq 50); do echo $i >f$i; done; git add .; git commit -qm one; echo more >>f1; git commit -qam two
                git gc -q; git checkout -q HEAD~1; git fsck --no-progress'
        [ -z "$(git -c safe.directory='*' -C "$OUT/r" status --porcelain)" ]
        leave
}

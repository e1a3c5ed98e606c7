#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What files-mirror shows: owners, modes, kinds of files, names, sizes.

load common

@test "a tree is shown as it is, in the mirror and through an overlay" {
        mkdir -p "$OUT/d/e"
        echo text >"$OUT/d/file"
        ln -s file "$OUT/d/link"
        ln -s /nowhere "$OUT/d/dangling"
        chmod 640 "$OUT/d/file"
        chmod 1777 "$OUT/d/e"
        mirror
        agree .
        [ "$(within cat $O/d/file)" = text ]
        [ "$(within cat $M/d/link)" = text ]
        leave
}

@test "owners: everything of the user and of root has the number that it has outside" {
        touch "$OUT/own"
        mirror
        [ "$(within stat -c '%u %g' $O/own)" = "$(id -u) $(id -g)" ]
        leave
        OUT=/ mirror -- --blank /dev
        [ "$(within stat -c '%u %g' $O/etc/passwd)" = "0 0" ]
        leave
}

@test "owners: those beyond what the environment has are nobody's, and lose the set-id bits" {
        is_root || skip "only root can make such files"
        for id in 0 1 33 65533 65534 65535 65536 100000; do
                cp /bin/true "$OUT/$id"
                chown "$id:$id" "$OUT/$id"
                chmod 6755 "$OUT/$id"
        done
        mirror
        for id in 0 1 33 65533 65534; do
                [ "$(within stat -c '%u %g %a' "$O/$id")" = "$id $id 6755" ]
        done
        [ "$(within stat -c '%u %g %a' $O/65536)" = "65534 65534 755" ]
        [ "$(within stat -c '%u %g %a' $O/100000)" = "65534 65534 755" ]
        leave
        mirror -- --ids one
        [ "$(within stat -c '%u %g %a' $O/33)" = "0 0 755" ]
        [ "$(within stat -c '%u %g %a' $O/0)" = "0 0 6755" ]
        leave
        mirror -- --ids 1000
        [ "$(within stat -c '%u %g %a' $O/33)" = "33 33 6755" ]
        [ "$(within stat -c '%u %g %a' $O/65533)" = "0 0 755" ]
        leave
}

@test "owners: --ids one shows everything as root's" {
        touch "$OUT/own"
        export MOUNT_ONE_ID=1
        mirror -- --ids one
        [ "$(within stat -c '%u %g' $O/own)" = "0 0" ]
        echo more >"$PLACE/more"
        within sh -c "echo inside >>$O/own && cat $O/own" >"$PLACE/got"
        [ "$(cat "$PLACE/got")" = inside ]
        [ ! -s "$OUT/own" ]
        leave
}

@test "what is changed inside lies in the layer: nothing outside changes" {
        mkdir -p "$OUT/d/full"
        echo one >"$OUT/d/a"
        echo two >"$OUT/d/b"
        touch "$OUT/d/full/x"
        mirror
        untouched "$OUT" within sh -ec "cd $O/d; echo more >>a; rm b; mkdir new; chmod 0 a; ln a hard; mv full/x y; rmdir full; touch -d 2001-01-01 ."
        [ "$(within cat $O/d/a)" = "$(printf 'one\nmore')" ]
        not within touch $M/d/new-in-the-mirror
        leave
}

@test "set-uid and set-gid programs are shown as such" {
        cp /bin/true "$OUT/s"
        chmod 6755 "$OUT/s"
        chmod 2775 "$OUT"
        mirror
        [ "$(within stat -c %a $O/s)" = 6755 ]
        [ "$(within stat -c %a $M)" = 2775 ]
        leave
}

@test "hard links are one file" {
        touch "$OUT/a"
        ln "$OUT/a" "$OUT/b"
        mirror
        [ "$(within stat -c %h $M/a)" = 2 ]
        [ "$(within stat -c %i $M/a)" = "$(within stat -c %i $M/b)" ]
        leave
}

@test "inode numbers of different file systems differ" {
        world
        mkdir "$OUT/one" "$OUT/two"
        out mount -t tmpfs one "$OUT/one"
        out mount -t tmpfs two "$OUT/two"
        for d in one two; do
                for i in 1 2 3 4 5 6 7 8 9; do out touch "$OUT/$d/$i"; done
        done
        mirror
        [ "$(within find $M -printf '%i\n' | sort | uniq -d)" = "" ]
        [ "$(within find $M | wc -l)" = 21 ]
        leave
}

@test "a hole of 4 GiB stays one, also when the file is copied into the layer" {
        truncate -s 4G "$OUT/hole"
        printf head | dd of="$OUT/hole" conv=notrunc status=none
        printf tail | dd of="$OUT/hole" conv=notrunc bs=1M seek=2048 status=none
        mirror
        [ "$(within_tool data $M/hole)" = "$(tool data "$OUT/hole")" ]
        SECONDS=0
        within sh -c "printf more >>$O/hole"
        [ "$SECONDS" -lt 5 ]
        [ "$(within stat -c %s $O/hole)" = $((4 * 1024 * 1024 * 1024 + 4)) ]
        [ "$(within du -k $O/hole | cut -f1)" -lt 20000 ] # the kernel copies 8 MiB at a time
        [ "$(within dd if=$O/hole bs=1M skip=2048 count=1 status=none | head -c 4)" = tail ]
        leave
}

@test "every name that a file can have" {
        local long
        long=$(printf 'n%.0s' {1..255})
        touch "$OUT/$long" "$OUT/"$'new\nline' "$OUT/"$'not\xff\xfeutf' "$OUT/"$'\x01\x7f' "$OUT/ -rf *" "$OUT/.hidden" "$OUT/..."
        mirror
        agree .
        within test -f "$O/$long"
        within test -f "$O/"$'not\xff\xfeutf'
        not within test -e "$O/${long}n"
        leave
}

@test "deep trees: 64 levels, longer than a path can be, ten thousand levels" {
        local long
        long=$(printf 'd%.0s' {1..200})
        tool deep "$OUT" 64 level
        tool deep "$OUT" 100 "$long"
        tool deep "$OUT" 10000 x
        mirror
        [ "$(within_tool down $M 64 level)" = end ]
        [ "$(within_tool down $O 64 level)" = end ]
        [ "$(within_tool down $M 100 "$long")" = end ]
        [ "$(within_tool down $M 10000 x)" = end ]
        within_tool deep $M 64 level && return 1
        leave
}

@test "a directory with 50,000 entries: each is listed once, also while others come and go" {
        mkdir "$OUT/d"
        tool many "$OUT/d" 50000
        mirror
        [ "$(within_tool list $M/d)" = 50000 ]
        [ "$(within_tool list $O/d)" = 50000 ]
        start "$TOOLS/tool" churn "$OUT/d" 3000
        [ "$(within_tool list $M/d)" = 50000 ]
        [ "$(within_tool list $M/d)" = 50000 ]
        wait "$started"
        leave
}

@test "the same on a tmpfs" {
        world
        out mount -t tmpfs some "$OUT"
        out "$TOOLS/tool" many "$OUT" 20000
        mirror
        start "${outside[@]}" "$TOOLS/tool" churn "$OUT" 3000
        [ "$(within_tool list $M)" = 20000 ]
        [ "$(within_tool list $M)" = 20000 ]
        wait "$started"
        leave
}

@test "big files are read as they are, by read and by map" {
        head -c 100M /dev/urandom >"$OUT/big"
        truncate -s 1G "$OUT/big"
        echo end >>"$OUT/big"
        mirror
        [ "$(within_tool sum $M/big read)" = "$(tool sum "$OUT/big" read)" ]
        [ "$(within_tool sum $M/big map)" = "$(tool sum "$OUT/big" read)" ]
        [ "$(within tail -c 4 $O/big)" = end ]
        leave
}

@test "fifos and sockets are names and nothing more" {
        mkfifo "$OUT/fifo"
        start "$TOOLS/tool" socket "$OUT/socket"
        eventually test -S "$OUT/socket"
        mirror
        within test -p $M/fifo
        within test -S $O/socket
        run within_tool connect $M/socket
        [[ $output == *"Connection refused"* ]]
        # A reader inside does not meet a writer outside.
        run -124 timeout 1 "$TOOLS/tool" sum "$OUT/fifo" read
        not timeout 1 bash -c "echo text >'$OUT/fifo'" &
        run -124 within timeout 1 cat $M/fifo
        leave
}

@test "devices cannot be opened" {
        is_root || skip "only root can make devices"
        mknod "$OUT/null" c 1 3
        mknod "$OUT/disk" b 7 99
        mknod "$OUT/whiteout" c 0 0
        mirror
        within test -c $M/null
        within test -b $M/disk
        not within cat $M/null
        not within cat $O/null
        not within sh -c "ls $O | grep whiteout"
        leave
}

@test "what may not be read is empty, and recorded once" {
        is_root && skip "root may read everything"
        mkdir "$OUT/closed" "$OUT/etc"
        echo secret >"$OUT/secret"
        echo secret >"$OUT/closed/inner"
        chmod 0 "$OUT/secret" "$OUT/closed"
        exec 9>"$PLACE/record"
        mirror -- --record 9
        exec 9>&-
        [ "$(within stat -c %s $M/secret)" = 0 ]
        [ "$(within cat $O/secret)" = "" ]
        [ "$(within ls -A $O/closed)" = "" ]
        for _ in 1 2 3; do within cat $M/secret; within ls $M/closed; within sh -c "echo 2 >/proc/sys/vm/drop_caches" || true; done 2>/dev/null
        [ "$(tr '\0' '\n' <"$PLACE/record" | sort)" = $'/closed\n/secret' ]
        # It can be locked, and replaced.
        within_tool lock $O/secret
        within sh -c "echo mine >$O/secret"
        [ "$(within cat $O/secret)" = mine ]
        chmod 600 "$OUT/secret"
        [ "$(cat "$OUT/secret")" = secret ]
        chmod 700 "$OUT/closed"
        leave
}

@test "what becomes readable is read" {
        is_root && skip "root may read everything"
        echo text >"$OUT/file"
        chmod 0 "$OUT/file"
        mirror
        [ "$(within cat $M/file)" = "" ]
        chmod 600 "$OUT/file"
        seen sh -c "[ \"\$(cat $O/file)\" = text ]"
        leave
}

@test "/etc/shadow and /etc/gshadow have a locked entry for each" {
        is_root && skip "root may read everything"
        mkdir "$OUT/etc"
        printf 'root:x:0:0::/root:/bin/sh\n\nbroken\n:empty\nmira:x:1000:1000::/:/bin/sh' >"$OUT/etc/passwd"
        printf 'root:x:0:\nusers:x:100:mira\n' >"$OUT/etc/group"
        echo secret >"$OUT/etc/shadow"
        echo secret >"$OUT/etc/gshadow"
        echo secret >"$OUT/shadow"
        chmod 0 "$OUT/etc/shadow" "$OUT/etc/gshadow" "$OUT/shadow"
        mirror
        [ "$(within cat $O/etc/shadow)" = $'root:*:19000:0:99999:7:::\nmira:*:19000:0:99999:7:::' ]
        [ "$(within cat $O/etc/gshadow)" = $'root:*::\nusers:*::' ]
        [ "$(within cat $O/shadow)" = "" ]
        # It follows the file that it is made from.
        printf '\nnew:x:1:1::/:/bin/sh\n' >>"$OUT/etc/passwd"
        seen grep -q '^new:' $M/etc/shadow
        # What is added inside comes after it.
        within sh -c "echo more >>$O/etc/shadow"
        [ "$(within head -n 1 $O/etc/shadow)" = 'root:*:19000:0:99999:7:::' ]
        [ "$(within tail -n 1 $O/etc/shadow)" = more ]
        chmod 600 "$OUT/etc/shadow" "$OUT/etc/gshadow"
        leave
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What files-mirror must not show: hidden and blank names, and what a program inside would try to see them.

load common

# nothing COMMAND... - it prints nothing inside, and it ran.
nothing()
{
        run within sh -c "{ $1
        } 2>/dev/null"
        [ -z "$output" ] || { printf 'seen: %s\n' "$output" >&2; return 1; }
}

secret()
{
        mkdir -p "$OUT/keep/secret/deep"
        echo SECRET >"$OUT/keep/secret/file"
        echo SECRET >"$OUT/keep/secret/deep/file"
        echo SECRET >"$OUT/keep/file"
        echo open >"$OUT/keep/open"
}
all="find $M $O -type f -exec grep -l SECRET {} + ; find $M $O -name '*secret*'"

@test "a hidden name is not there, in no way" {
        secret
        mirror -- --hide /keep/secret --hide /keep/file
        nothing "$all"
        nothing "cat $M/keep/secret/file $M/keep/secret/deep/file $M/keep/file $O/keep/./secret/../file $M/keep//file"
        nothing "ls -d $M/keep/secret/deep"
        [ "$(within cat $O/keep/open)" = open ]
        # A name that is hidden is free.
        within sh -c "echo mine >$O/keep/file; mkdir -p $O/keep/secret; cat $O/keep/file; ls -A $O/keep/secret" >"$PLACE/got"
        [ "$(cat "$PLACE/got")" = mine ]
        [ "$(cat "$OUT/keep/file")" = SECRET ]
        leave
}

@test "hidden by what it is: links, renames and mounts outside do not show it" {
        world
        secret
        mkdir "$OUT/bound" "$OUT/above"
        ln "$OUT/keep/file" "$OUT/hard"
        mirror -- --hide /keep/secret --hide /keep/file
        nothing "$all; cat $M/hard"
        out mount --bind "$OUT/keep/secret" "$OUT/bound"
        out mount --bind "$OUT/keep" "$OUT/above"
        sleep 1.5
        nothing "$all; cat $M/bound/file $M/above/file $M/above/secret/file"
        eventually out umount "$OUT/above" 2>/dev/null
        eventually out umount "$OUT/bound" 2>/dev/null
        ln "$OUT/keep/file" "$OUT/later"
        mv "$OUT/keep/secret" "$OUT/renamed"
        mv "$OUT/keep/file" "$OUT/moved"
        sleep 0.5
        nothing "$all; cat $M/later $M/moved $M/renamed/file $M/renamed/deep/file"
        leave
}

@test "a hidden directory that is moved to where another one was known is not entered" {
        secret
        mkdir -p "$OUT/keep2/secret/deep" "$OUT/known/deep"
        echo open >"$OUT/keep2/secret/deep/file"
        echo open >"$OUT/known/deep/file"
        mirror -- --hide /keep/secret
        # held from inside, so that the kernel need not look it up
        start within sh -c "cd $M/known/deep; for i in \$(seq 100); do sleep 0.02; cat file ../file ../deep/file; done | grep SECRET >$PLACE/got" 2>/dev/null
        start within sh -c "cd $M/keep2/secret/deep; for i in \$(seq 100); do sleep 0.02; cat file ../file; done | grep SECRET >>$PLACE/got" 2>/dev/null
        sleep 0.3
        mv "$OUT/known" "$OUT/old"
        mv "$OUT/keep/secret" "$OUT/known"
        sleep 0.5
        nothing "cat $M/known/file $M/known/deep/file"
        mv "$OUT/known" "$OUT/keep/secret"
        mv "$OUT/keep2" "$OUT/old2"
        mv "$OUT/keep" "$OUT/keep2"
        sleep 0.5
        nothing "cat $M/keep2/secret/file $M/keep2/secret/deep/file"
        [ ! -s "$PLACE/got" ]
        leave
}

@test "symbolic links outside lead nowhere else, also while they are swapped" {
        secret
        mkdir "$OUT/swap" "$OUT/plain"
        echo open >"$OUT/plain/file"
        echo open >"$OUT/swap/file"
        ln -s keep/secret "$OUT/relative"
        ln -s ../../../../../../../../etc "$OUT/up"
        mirror -- --hide /keep/secret --hide /keep/file
        nothing "cat $M/relative/file $M/up/passwd | grep SECRET"
        start bash -c 'cd "$1"; while :; do mv -T swap dir; ln -s keep/secret swap; rm swap; ln -s keep swap; rm swap; mv -T dir swap; done' bash "$OUT"
        end=$((SECONDS + 4))
        while [ $SECONDS -lt $end ]; do
                nothing "for i in 1 2 3 4 5 6 7 8 9 10; do cat $M/swap/file $M/swap/secret/file $O/swap/file; done 2>/dev/null | grep SECRET"
        done
        kill -KILL "$started"
        leave
}

@test "a rule that leads through a link, and names that are none" {
        secret
        ln -s keep "$OUT/way"
        mirror -- --hide /way/secret
        nothing "cat $M/keep/secret/file $M/way/secret/file"
        leave
        run "$SERVER" --control 0 --hide relative
        [ "$status" != 0 ]
        run "$SERVER" --control 0 --hide /
        [ "$status" != 0 ]
        run "$SERVER" --control 0 --hide /a/../b
        [ "$status" != 0 ]
        run "$SERVER" --control 0 --ids none
        [ "$status" != 0 ]
}

@test "the number of a hidden file that is gone does not hide another file" {
        local inode
        echo SECRET >"$OUT/hidden"
        inode=$(stat -c %i "$OUT/hidden")
        mirror -- --hide /hidden
        nothing "$all"
        rm "$OUT/hidden"
        for i in $(seq 50); do
                echo open >"$OUT/new$i"
                if [ "$(stat -c %i "$OUT/new$i")" = "$inode" ]; then
                        seen grep -q open "$M/new$i"
                        leave
                        return
                fi
        done
        leave
        skip "this file system does not use the number again"
}

@test "a blank name is an empty directory" {
        mkdir -p "$OUT/run/a"
        touch "$OUT/run/b"
        mirror -- --blank /run
        [ "$(within ls -A $M/run)" = "" ]
        nothing "ls -d $M/run/a $M/run/b"
        within mkdir $O/run/mine
        [ "$(within ls -A $O/run)" = mine ]
        # also from inside it
        nothing "cd $M/run && ls -d a b"
        leave
        mirror -- --blank /
        [ "$(within ls -A $M)" = "" ]
        nothing "ls -d $M/run"
        leave
}

@test "/proc, /sys and what is mounted in them are empty directories, whatever is asked for" {
        world
        mkdir "$OUT/proc" "$OUT/sys" "$OUT/pts"
        out mount --rbind /proc "$OUT/proc"
        out mount --rbind /sys "$OUT/sys"
        out mount --rbind /dev/pts "$OUT/pts"
        mirror
        [ "$(within ls -A $M/proc $M/sys $M/pts | grep -v :)" = "" ]
        nothing "ls -d $M/proc/1 $M/proc/self $M/proc/$server $M/sys/fs $M/sys/fs/cgroup $M/pts/0 $M/pts/ptmx"
        nothing "cat $M/proc/self/status $M/proc/$server/environ $O/proc/self/mounts $M/proc/self/root/etc/passwd"
        nothing "ls $O/proc/self/fd $O/proc/$server/root $O/proc/$server/cwd"
        leave
}

@test "nothing above the root is reached" {
        echo OUTSIDE >"$PLACE/above"
        mkdir "$OUT/d"
        mirror
        nothing "cat $M/../above $M/d/../../above; cd $M/d && cd ../../.. && cat above"
        leave
}

@test "handles do not open what was not looked up" {
        secret
        mirror -- --hide /keep/secret --hide /keep/file
        run within_tool handle $M/keep/open
        [[ $output != *invented* ]]
        run within_tool handle $O/keep/open
        [[ $output != *invented* ]]
        leave
}

@test "the program inside cannot change the mirror, its mount, or what its overlay makes of it" {
        secret
        mkdir "$OUT/d"
        echo open >"$OUT/d/f"
        mirror -n -- --hide /keep/secret --hide /keep/file
        not within mount -o remount,rw $M
        not within umount $M
        not within umount -l $O
        not within mount -o remount,allow_other,fd=3 $M
        nothing "mkdir /tmp/x; mount --bind $M /mnt/x 2>/dev/null && mount -o remount,rw,bind /mnt/x && touch /mnt/x/f && echo written"
        not within setfattr -n user.x -v y $M/d
        for name in opaque redirect metacopy origin whiteout upper nlink; do
                within setfattr -n "user.overlay.$name" -v /keep/secret $O/d 2>/dev/null || true
                within setfattr -n "user.overlay.$name" -v /keep/file $O/d/f 2>/dev/null || true
                within setfattr -n "trusted.overlay.$name" -v /keep/secret $O/d 2>/dev/null || true
        done
        within sh -c "mkdir $O/new; echo x >$O/new/f"
        for name in redirect metacopy; do
                within setfattr -n "user.overlay.$name" -v /keep/secret $O/new 2>/dev/null || true
                within setfattr -n "user.overlay.$name" -v /keep/file $O/new/f 2>/dev/null || true
        done
        nothing "$all; ls -R $O/new $O/d | grep SECRET; cat $O/new/f $O/d/f | grep SECRET"
        not within mknod $M/null c 1 3
        not within sh -c "mknod $O/null c 1 3 && echo >$O/null"
        nothing "ls /proc/$server/fd /proc/$server/root; cat /proc/$server/environ /proc/$server/mem"
        leave
}

@test "set-uid programs of the layer are of nobody's use outside" {
        is_root && skip "the layer of root has ids of nobody"
        mkdir -m 700 "$PLACE/layer"
        mkdir "$PLACE/layer/u" "$PLACE/layer/w"
        mirror -l "$PLACE/layer"
        within sh -c "cp /bin/true $O/s && chmod 6755 $O/s"
        [ "$(stat -c %a "$PLACE/layer")" = 700 ]
        [ "$(stat -c '%u' "$PLACE/layer/u/s")" = "$(id -u)" ]
        leave
        chmod -R u+rwX "$PLACE/layer"
}

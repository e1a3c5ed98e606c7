#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What changes outside while a mirror is up: it is seen inside within a second, and nothing is ESTALE for ever.

load common

# now TEXT FILE - the file inside has this text.
now() { seen sh -c '[ "$(cat "$1" 2>/dev/null)" = "$2" ]' sh "$2" "$1"; }

@test "a file that is made, where its absence was known" {
        mirror
        not within cat $O/new 2>/dev/null
        not within cat $M/new 2>/dev/null
        echo text >"$OUT/new"
        now text $M/new
        now text $O/new
        leave
}

@test "a file that is made in a directory that was listed" {
        mkdir "$OUT/d"
        touch "$OUT/d/old"
        mirror
        within ls -l $O/d $M/d
        echo text >"$OUT/d/new"
        seen sh -c "ls $O/d | grep -q new"
        now text $O/d/new
        agrees d
        leave
}

@test "a file that is removed" {
        echo text >"$OUT/f"
        mirror
        within cat $O/f
        rm "$OUT/f"
        seen test ! -e $O/f
        seen sh -c "! ls $O | grep -q f"
        agrees .
        echo again >"$OUT/f"
        now again $O/f
        leave
}

@test "a file that is removed while it is open inside, and made anew" {
        echo text >"$OUT/f"
        mirror
        start within sh -c "exec 5<$O/f; sleep 3"
        sleep 0.5
        rm "$OUT/f"
        sleep 1
        echo again >"$OUT/f"
        now again $O/f
        wait "$started"
        now again $O/f
        leave
}

@test "a file that is replaced by rename, again and again, also while it is open or mapped" {
        echo 0 >"$OUT/f"
        mirror
        start within sh -c "exec 5<$O/f; sleep 5"
        for i in 1 2 3 4 5 6 7 8; do
                echo "$i" >"$OUT/f.new"
                mv "$OUT/f.new" "$OUT/f"
                now "$i" $O/f
        done
        agrees .
        leave
}

@test "a file that is replaced by one of the same size and time" {
        echo one >"$OUT/f"
        echo two >"$OUT/g"
        touch -d 2001-01-01 "$OUT/f" "$OUT/g"
        mirror
        [ "$(within cat $O/f)" = one ]
        mv "$OUT/g" "$OUT/f"
        now two $O/f
        leave
}

@test "a file that grows, shrinks, is written over, or changed through a map" {
        echo text >"$OUT/f"
        mirror
        [ "$(within cat $O/f)" = text ]
        echo more >>"$OUT/f"
        now $'text\nmore' $O/f
        : >"$OUT/f"
        now "" $O/f
        echo text >"$OUT/f"
        now text $O/f
        printf TE | dd of="$OUT/f" conv=notrunc status=none
        now TExt $O/f
        "$TOOLS/tool" touch-by-map "$OUT/f" none
        now none $O/f
        leave
}

@test "a file that is changed under another name" {
        mkdir "$OUT/unseen"
        echo text >"$OUT/f"
        ln "$OUT/f" "$OUT/unseen/g"
        mirror
        [ "$(within cat $O/f)" = text ]
        echo more >>"$OUT/unseen/g"
        soon=2500 now $'text\nmore' $O/f
        leave
}

@test "mode, time and owner" {
        echo text >"$OUT/f"
        mkdir "$OUT/d"
        mirror
        within stat $O/f $O/d
        chmod 600 "$OUT/f"
        seen sh -c "[ \$(stat -c %a $O/f) = 600 ]"
        touch -d @1000 "$OUT/f" "$OUT/d"
        seen sh -c "[ \$(stat -c %Y $O/f) = 1000 ]"
        seen sh -c "[ \$(stat -c %Y $O/d) = 1000 ]"
        touch "$OUT/d/new"
        mtime=$(stat -c %Y "$OUT/d")
        soon=2500 seen sh -c "[ \$(stat -c %Y $M/d) = $mtime ]"
        leave
}

@test "a file becomes a directory, a directory a link, a link a file" {
        mkdir "$OUT/d"
        echo text >"$OUT/d/in"
        mirror
        for _ in 1 2 3; do
                echo text >"$OUT/x"
                now text $O/x
                rm "$OUT/x"
                mkdir "$OUT/x"
                echo below >"$OUT/x/in"
                now below $O/x/in
                agrees .
                rm -r "$OUT/x"
                ln -s d "$OUT/x"
                now text $O/x/in
                seen test -L $O/x
                rm "$OUT/x"
        done
        seen test ! -L $O/x
        leave
}

@test "a directory that is moved, and another one in its place" {
        mkdir -p "$OUT/a/b/c" "$OUT/other/b/c"
        echo one >"$OUT/a/b/c/f"
        echo two >"$OUT/other/b/c/f"
        mirror
        [ "$(within cat $O/a/b/c/f)" = one ]
        mv "$OUT/a" "$OUT/old"
        now one $O/old/b/c/f
        seen test ! -e $O/a
        mv "$OUT/other" "$OUT/a"
        now two $O/a/b/c/f
        echo three >"$OUT/a/b/c/f"
        now three $O/a/b/c/f
        echo four >"$OUT/old/b/c/f"
        now four $O/old/b/c/f
        echo new >"$OUT/a/b/c/g"
        now new $O/a/b/c/g
        # exchanged, in one go
        python3 - "$OUT/a" "$OUT/old" <<'END'
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2) == 0
END
        now four $O/a/b/c/f
        now three $O/old/b/c/f
        agrees .
        leave
}

@test "a program inside whose directory is moved outside goes on" {
        mkdir -p "$OUT/a/b"
        mirror
        start within sh -c "cd $O/a/b && sleep 2; ls . ; cd / && ls $O/new/b"
        sleep 0.5
        mv "$OUT/a" "$OUT/new"
        wait "$started"
        leave
}

@test "directories that cannot be watched: what is made, removed and replaced in them is seen" {
        is_root && skip "root may watch everything"
        mkdir -p "$OUT/blind/d" "$OUT/other"
        echo one >"$OUT/blind/f"
        echo deep >"$OUT/blind/d/f"
        echo two >"$OUT/other/f"
        chmod 311 "$OUT/blind"
        mirror
        [ "$(within cat $O/blind/f)" = one ]
        [ "$(within cat $O/blind/d/f)" = deep ]
        not within test -e $O/blind/new
        echo text >"$OUT/blind/new"
        soon=2500 now text $O/blind/new
        mv "$OUT/other/f" "$OUT/blind/f"
        soon=2500 now two $O/blind/f
        rm "$OUT/blind/f"
        soon=2500 seen test ! -e $O/blind/f
        # a directory below, itself watched, is replaced
        mv "$OUT/blind/d" "$OUT/other/old"
        mkdir "$OUT/blind/d"
        echo fresh >"$OUT/blind/d/f"
        soon=2500 now fresh $O/blind/d/f
        echo again >"$OUT/blind/d/f"
        soon=2500 now again $O/blind/d/f
        chmod 755 "$OUT/blind"
        leave
}

@test "a directory that is seen under two names is watched under one, and fresh under both" {
        world
        mkdir "$OUT/a" "$OUT/b"
        echo one >"$OUT/a/f"
        out mount --bind "$OUT/a" "$OUT/b"
        mirror
        [ "$(within cat $O/a/f $O/b/f)" = $'one\none' ]
        echo two >"$OUT/a/f"
        now two $O/a/f
        soon=2500 now two $O/b/f
        leave
}

@test "mounts that appear and go" {
        world
        mkdir "$OUT/m"
        echo under >"$OUT/m/f"
        mirror
        now under $O/m/f
        not within test -e $O/m/new
        for i in 1 2 3; do
                out mount -t tmpfs some "$OUT/m"
                out sh -c "echo over$i >$OUT/m/f"
                now "over$i" $O/m/f
                out sh -c "echo new >$OUT/m/new"
                now new $O/m/new
                out sh -c "echo changed >$OUT/m/f"
                now changed $O/m/f
                patience=5 eventually out umount "$OUT/m" 2>/dev/null # the server holds nothing for long
                now under $O/m/f
                seen test ! -e $O/m/new
                echo "under$i" >"$OUT/m/f"
                now "under$i" $O/m/f
                echo under >"$OUT/m/f"
        done
        leave
}

@test "a number that one file system had and another gets" {
        world
        mkdir "$OUT/m"
        mirror
        for _ in 1 2 3; do
                out mount -t tmpfs some "$OUT/m"
                out touch "$OUT/m/file"
                seen test -e $O/m/file
                eventually out umount "$OUT/m" 2>/dev/null
                out mount -t proc some "$OUT/m" 2>/dev/null || out mount --rbind /proc "$OUT/m"
                seen test ! -e $O/m/file
                [ "$(within ls -A $O/m)" = "" ]
                not within test -e $O/m/self/status
                not within test -e $O/m/1
                out umount -l "$OUT/m"
        done
        leave
}

@test "more changes than the queue holds" {
        mkdir "$OUT/d" "$OUT/e"
        echo one >"$OUT/d/f"
        mirror
        [ "$(within cat $O/d/f)" = one ]
        not within test -e $O/e/new
        kill -STOP "$server"
        tool many "$OUT/d" 50000 n
        echo two >"$OUT/d/f"
        echo new >"$OUT/e/new"
        kill -CONT "$server"
        soon=4000 now two $O/d/f
        soon=4000 now new $O/e/new
        # it goes on watching
        echo three >"$OUT/d/f"
        now three $O/d/f
        within test -e $O/d/n49999
        echo fresh >"$OUT/e/fresh"
        now fresh $O/e/fresh
        leave
}

@test "no watches left: changes are seen within two seconds" {
        # Mirrors of one user share the limit of instances: the last ones get none.
        limit=$(cat /proc/sys/fs/inotify/max_user_instances)
        [ "$limit" -le 512 ] || skip "instances are not scarce here"
        start python3 -c '
import ctypes, time
end = time.monotonic() + 60
while time.monotonic() < end: # those that others give back as well
    if ctypes.CDLL(None).inotify_init() < 0:
        time.sleep(0.02)'
        eventually no_instance
        echo one >"$OUT/f"
        mkdir "$OUT/d"
        mirror
        [ "$(within cat $O/f)" = one ]
        not within test -e $O/d/new
        echo two >"$OUT/f"
        soon=2500 now two $O/f
        mv "$OUT/f" "$OUT/d/f"
        soon=2500 seen test ! -e $O/f
        echo new >"$OUT/d/new"
        soon=2500 now new $O/d/new
        leave
}
no_instance() { python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).inotify_init() >= 0)'; }

@test "whatever happens, what is listed can be opened" {
        mkdir -p "$OUT/d" "$OUT/gone"
        for i in $(seq 100); do echo "$i" >"$OUT/d/$i"; done
        mirror
        start bash -c 'while :; do i=$((RANDOM % 100 + 1)); case $((RANDOM % 4)) in
                0) echo $RANDOM >"$1/d/$i" ;;
                1) rm -rf "$1/d/$i" ;;
                2) echo new >"$1/t" && mv -T "$1/t" "$1/d/$i" ;;
                3) mkdir "$1/d/$i" ;; esac; done' bash "$OUT" 2>/dev/null
        for _ in $(seq 30); do within sh -c "cat $O/d/* $M/d/* ; ls -lR $O" >/dev/null 2>&1 || true; done
        kill -KILL "$started"
        wait "$started" || true
        agrees d
        within sh -c "for f in $O/d/*; do [ -d \$f ] || cat \$f >/dev/null || exit 1; done"
        agrees .
        leave
}

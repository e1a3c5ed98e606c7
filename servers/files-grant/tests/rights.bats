#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What a grant does not let do, and whose files it shows.

load common

@test "read-only: every change is refused, by the server too where the mount would let it through" {
        mkdir "$OUT/d"
        echo text >"$OUT/file"
        ln -s file "$OUT/link"
        for mounted in "" 1; do
                export GRANTS_MOUNT_RW=$mounted
                [ -n "$mounted" ] || unset GRANTS_MOUNT_RW
                grants
                add 1 - "$OUT"
                untouched "$OUT" within sh -c 'cd /mnt/1
                        fails() { "$@" 2>/dev/null && echo "$* was done" ; true; }
                        fails sh -c "echo x >>file"; fails sh -c "echo x >file"; fails sh -c ": <>file"; fails touch new; fails mkdir new
                        fails ln -s a new; fails ln file new; fails mv file new; fails rm file; fails rmdir d; fails chmod 600 file
                        fails truncate -s 0 file; fails touch -d 2001-01-01 file; fails mkfifo new; fails setfattr -n user.a -v b file
                        fails mv -T d link; fails dd if=/dev/zero of=file conv=notrunc status=none' >"$PLACE/done"
                not grep done "$PLACE/done"
                [ "$(within cat /mnt/1/link)" = text ]
                leave
        done
}

@test "read-only holds when the mount is made writable below" {
        echo text >"$OUT/file"
        export GRANTS_MOUNT_RW=1
        grants
        add 1 - "$OUT"
        not within unshare -Urm sh -c 'mount -o remount,rw,bind /mnt/1; echo x >/mnt/1/file'
        not within sh -c 'mount -o remount,rw /mnt/1; echo x >/mnt/1/file'
        [ "$(cat "$OUT/file")" = text ]
        leave
}

@test "writing becomes reading at once: what is open for writing too, and mappings" {
        echo text >"$OUT/file"
        grants
        add 1 rw "$OUT"
        start within sh -c "exec 5>>/mnt/1/file; echo in; until [ -e '$GO' ]; do :; done; echo more >&5; touch /mnt/1/new" >"$PLACE/got" 2>&1
        writer=$started
        start within_tool dirty /mnt/1/big 1000000 >"$PLACE/dirty"
        eventually said in "$PLACE/got"
        eventually said dirty "$PLACE/dirty"
        say set 1 -
        [ "$answer" = ok ]
        [ "$(tr -d D <"$OUT/big" | wc -c)" = 0 ] # changed before: it arrived
        touch "$GO"
        wait "$writer" && return 1
        grep -q 'Read-only' "$PLACE/got"
        [ "$(cat "$OUT/file")" = text ]
        [ "$(within cat /mnt/1/file)" = text ]
        say set 1 rw
        within sh -c 'echo more >>/mnt/1/file'
        [ "$(cat "$OUT/file")" = $'text\nmore' ]
        say set 9 rw
        [ "$answer" = "No such file or directory" ]
        leave
}

@test "programs cannot be run from a grant that says so" {
        cp /bin/true "$OUT/program"
        grants
        add 1 rw "$OUT"
        within /mnt/1/program
        add 2 rw,noexec "$OUT"
        not within /mnt/2/program
        [ "$(within stat -c %A /mnt/2/program)" = -rw-r--r-- ]
        [ "$(stat -c %A "$OUT/program")" = -rwxr-xr-x ]
        leave
}

@test "set-id bits are neither shown nor made" {
        cp /bin/true "$OUT/s"
        chmod 6755 "$OUT/s"
        grants
        add 1 rw "$OUT"
        [ "$(within stat -c %a /mnt/1/s)" = 755 ]
        within sh -c 'cp /bin/true /mnt/1/n; chmod 6755 /mnt/1/n; mkdir -m 2755 /mnt/1/d; chmod 4711 /mnt/1/d'
        [ "$(stat -c %a "$OUT/n")" = 755 ]
        [ "$(stat -c %a "$OUT/d")" = 711 ]
        leave
}

@test "owners: one for all, or those of outside" {
        touch "$OUT/file"
        ln -s /etc/passwd "$OUT/link"
        grants
        add 1 rw,uid=0,gid=0 "$OUT"
        [ "$(within stat -c '%u %g' /mnt/1/file /mnt/1/link /mnt/1)" = $'0 0\n0 0\n0 0' ]
        within chown 0:0 /mnt/1/file
        not within chown 1:1 /mnt/1/file
        add 2 -,mapped /etc
        expected=65534
        ! is_root || expected=0 # root's files are shown to whom they belong
        [ "$(within stat -c %u /mnt/2/passwd)" = $expected ]
        add 3 rw,mapped "$OUT"
        [ "$(within stat -c '%u %g' /mnt/3/file)" = "0 0" ]
        within chown 0:0 /mnt/3/file
        leave
}

has_ids() { is_root || { [ -u /usr/bin/newuidmap ] && grep -q "^$(id -un):" /etc/subuid; }; }

@test "an identity inside with the group of a grant may use it, others not; taking the group away is seen at once" {
        has_ids || skip "this user has no subordinate ids"
        echo text >"$OUT/file"
        chmod 600 "$OUT/file"
        chmod 700 "$OUT"
        grants
        add 1 rw,uid=0,gid=500,group "$OUT"
        as() { within setpriv --reuid 77 --regid 77 --groups "$1" --bounding-set -all -- "${@:2}"; }
        [ "$(within stat -c '%u %g %a' /mnt/1/file)" = "0 500 660" ]
        [ "$(as 500,600 cat /mnt/1/file)" = text ]
        not as 600 cat /mnt/1/file
        as 500 sh -c 'echo more >>/mnt/1/file; echo new >/mnt/1/new'
        [ "$(cat "$OUT/new")" = new ]
        say set 1 rw,uid=0,gid=600,group
        not as 500 cat /mnt/1/file
        [ "$(as 600 cat /mnt/1/file)" = $'text\nmore' ]
        leave
}

@test "fifos and sockets are inside what they are outside, and lead nowhere; devices cannot be opened" {
        mkfifo "$OUT/fifo"
        ! is_root || mknod "$OUT/null" c 1 3
        grants
        add 1 rw "$OUT"
        run -124 within timeout 1 cat /mnt/1/fifo
        not timeout 1 bash -c "echo text >'$OUT/fifo'"
        not within mknod /mnt/1/device c 1 3
        not test -e "$OUT/device"
        ! is_root || not within cat /mnt/1/null
        leave
}

@test "file systems of the kernel are not shown: they would speak of the server" {
        world
        mkdir "$OUT/proc" "$OUT/sys" "$OUT/tmp"
        out mount --rbind /proc "$OUT/proc"
        out mount -t tmpfs some "$OUT/tmp"
        out touch "$OUT/tmp/file"
        grants
        add 1 rw "$OUT"
        not within cat /mnt/1/proc/self/environ
        not within ls /mnt/1/proc
        not within sh -c 'echo x >/mnt/1/proc/self/mem'
        within test -e /mnt/1/tmp/file
        [ "$(within find /mnt/1 -printf '%i\n' 2>/dev/null | sort | uniq -d)" = "" ]
        say add 2 - "$OUT/proc"
        [ "$answer" = "Permission denied" ]
        leave
}

@test "attributes of security are neither shown nor set" {
        touch "$OUT/file"
        setfattr -n user.test -v value "$OUT/file" || skip "no extended attributes here"
        grants
        add 1 rw "$OUT"
        [ "$(within getfattr -n user.test --only-values /mnt/1/file 2>/dev/null)" = value ]
        not within setfattr -n security.test -v x /mnt/1/file
        not within setfattr -n trusted.test -v x /mnt/1/file
        not within setcap cap_net_raw+ep /mnt/1/file
        [ -z "$(getfattr -d -m security "$OUT/file")" ]
        leave
}

@test "the first use is told, once" {
        touch "$OUT/file"
        grants
        add 1 rw "$OUT"
        within stat /mnt/1
        sleep 0.1
        not event used
        within sh -c 'echo x >/mnt/1/new; cat /mnt/1/file'
        eventually event '^used 1 pid=[1-9]'
        [ "$(grep -c used "$PLACE/events")" = 1 ]
        leave
}

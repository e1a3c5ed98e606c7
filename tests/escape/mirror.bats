#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# mirror.bats - `run --as root`: root of a copy reaches nothing of the main system that its user may not, and nothing that was
# hidden. What the server alone must hold against is in servers/files-mirror/tests/hide.bats.

load common

setup_file() { build swap; }

needs_copy()
{
        ! is_root || skip "as root there is no mirror"
        "$PADDOCK" run --as root -- true 2>/dev/null || skip "needs subordinate ids and /dev/fuse: paddock doctor"
        tool swap
}

# as_root OPTION... -- COMMAND...
as_root() { inside --as root "$@"; }

secret()
{
        mkdir -p "$OUT/keep/secret/deep" "$OUT/open"
        echo SECRET >"$OUT/keep/secret/file"
        echo SECRET >"$OUT/keep/secret/deep/file"
        echo open >"$OUT/open/file"
}

@test "mirror: a hidden directory, by names, links, mounts and namespaces" {
        needs_copy
        secret
        ln -s keep/secret "$OUT/link"
        # shellcheck disable=SC2016
        attack as_root --hide "$OUT/keep/secret" -- sh -c '
                cd "$1"
                cat keep/secret/file keep/./secret/../secret/deep/file link/file "/proc/self/root$1/keep/secret/file" \
                        "/proc/1/root$1/keep/secret/file" "/proc/self/cwd/keep/secret/file" 2>/dev/null
                mkdir -p /mnt/b && mount --rbind / /mnt/b 2>/dev/null && cat "/mnt/b$1/keep/secret/file" 2>/dev/null
                unshare -Urm sh -c "umount -l \"$1\" / ; mount --bind / /mnt; cat \"/mnt$1/keep/secret/file\" \"$1/keep/secret/file\"" 2>/dev/null
                mount -t overlay o -o "lowerdir=$1/keep:$1/open" /mnt 2>/dev/null && cat /mnt/secret/file 2>/dev/null
                chroot / cat "$1/keep/secret/file" 2>/dev/null
                mkdir -p keep/secret && ls -A keep/secret && mv keep keep2 2>/dev/null; find "$1" -type f -exec grep -l SECRET {} +' - "$OUT"
        held
        [ "$(cat "$OUT/keep/secret/file")" = SECRET ]
}

@test "mirror: a directory outside is swapped for a link to what is hidden, while it is looked at" {
        needs_copy
        secret
        ln -s keep/secret "$OUT/away"
        start "$PLACE/tools/swap" "$OUT/open" "$OUT/away"
        # shellcheck disable=SC2016
        attack as_root --hide "$OUT/keep/secret" -- sh -c '
                cd "$1"
                end=$(($(date +%s) + 5))
                while [ "$(date +%s)" -lt $end ]; do
                        cat open/file away/file open/deep/file away/deep/file 2>/dev/null
                        find open/ away/ -type f -exec cat {} + 2>/dev/null
                        "$2" look open file 2>/dev/null
                done | grep SECRET' - "$OUT" "$PLACE/tools/swap"
        kill -KILL "$started" # it swapped all the time, or this fails
        held
}

@test "mirror: nothing lies above the root" {
        needs_copy
        # shellcheck disable=SC2016
        attack as_root -- sh -c '
                seen=$(stat -c %d:%i /)
                [ "$(stat -c %d:%i /../..)" = "$seen" ] || echo above
                mkdir /d && cat >/tmp/out.py <<P
import os
os.chroot("/d")
for _ in range(100): os.chdir("..")
os.chroot(".")
print(os.path.exists("/alive.lock") or os.path.exists("/mirror") or os.path.exists("/root/alive.lock") or "", end="")
P
                python3 /tmp/out.py
                cd /proc/self/fd && for f in *; do readlink "$f"; done | grep -E "fuse|mirror|socket"
                # that there are descriptors may be seen, not what they are
                readlink /proc/[12]/fd/* /proc/[12]/root /proc/[12]/cwd
                ls /proc/[12]/root/ /proc/[12]/cwd/ /proc/[12]/fd/*/ 2>/dev/null
                grep -l . /proc/1/environ /proc/2/environ /proc/1/mem 2>/dev/null'
        held
}

@test "mirror: devices cannot be made or opened" {
        needs_copy
        # shellcheck disable=SC2016
        attack as_root -- sh -c '
                for d in "b 8 0" "b 254 0" "c 1 1" "c 1 11" "c 10 200" "b 7 0"; do
                        rm -f /d; mknod /d $d 2>/dev/null && head -c1 /d 2>/dev/null && echo "opened $d"
                        rm -f /dev/shm/d; mknod /dev/shm/d $d 2>/dev/null && head -c1 /dev/shm/d 2>/dev/null && echo "opened $d in /dev/shm"
                done
                cat /dev/mem /dev/kmsg /dev/vda /dev/sda 2>/dev/null | head -c1
                mount -o remount,dev / 2>/dev/null && rm -f /d && mknod /d c 1 3 2>/dev/null && cat /d && echo remounted'
        held
}

@test "mirror: what the user may not read outside, root inside may not" {
        needs_copy
        # what is closed to the user outside, with something in it, as far as sizes tell
        attack as_root -- sh -c '
                cut -d: -f2 /etc/shadow /etc/gshadow 2>/dev/null | grep -v "^[*!]*$"
                chmod 644 /etc/shadow; chown 0 /etc/shadow; grep -E "^[^:]*:[^*!]" /etc/shadow
                ls -A /root 2>/dev/null; chmod 777 /root; ls -A /root 2>/dev/null
                for f in /etc/sudoers /etc/ssl/private/* /var/log/btmp /etc/ssh/ssh_host_*_key; do
                        chmod 666 "$f" 2>/dev/null; head -c 20 "$f" 2>/dev/null
                done'
        if [ -r /root ] || [ -r /etc/shadow ]; then skip "can read everything"; fi
        held
        # mine, but closed
        echo SECRET >"$OUT/closed"
        mkdir "$OUT/dir"
        echo SECRET >"$OUT/dir/f"
        chmod 000 "$OUT/closed" "$OUT/dir"
        # shellcheck disable=SC2016
        attack as_root -- sh -c 'chmod 777 "$1/closed" "$1/dir"; cat "$1/closed" "$1/dir/f" 2>/dev/null; ls -A "$1/dir"' - "$OUT"
        chmod 700 "$OUT/dir"
        held
}

@test "mirror: set-uid programs of the layer are of nobody's use outside" {
        needs_copy
        inside -n lab --as root -- sh -c 'cp /bin/sh /usr/local/bin/own; chmod 6755 /usr/local/bin/own
                cp /bin/sh /usr/local/bin/other; chown 33:33 /usr/local/bin/other; chmod 6755 /usr/local/bin/other'
        # They are there, of the user's ids, and on the way to them is a directory that only the user may enter.
        local found file
        found=$(find "$XDG_STATE_HOME" -perm -4000 -type f 2>/dev/null) || true # overlay's own directory is closed
        [ "$(printf '%s\n' "$found" | wc -l)" = 2 ]
        for file in $found; do
                while [ "$file" != "$XDG_STATE_HOME" ] && [ "$(stat -c %a "$file")" != 700 ]; do file=$(dirname "$file"); done
                [ "$(stat -c %a:%u "$file")" = "700:$(id -u)" ]
        done
        attack as_root -- find / -name own -perm -4000 -path '*paddock*'
        held
        "$PADDOCK" rm lab
}

@test "mirror: who looks ahead, and what it is told, serve nobody else" {
        needs_copy
        secret
        # shellcheck disable=SC2016
        attack as_root --hide "$OUT/keep/secret" -- sh -c '
                find /usr/share >/dev/null 2>&1
                lister=$(grep -l paddock-lister /proc/[0-9]*/comm | cut -d/ -f3)
                for p in $lister 1; do
                        readlink "/proc/$p/fd"/* "/proc/$p/cwd"
                        ls "/proc/$p/cwd/" "/proc/$p/fd"/*/ 2>/dev/null
                        cat "/proc/$p/fd/3/../keep/secret/file" "/proc/$p/root$1/keep/secret/file" 2>/dev/null
                done
                python3 - $lister <<P 2>/dev/null
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for pid in sys.argv[1:] + ["1"]:
    if libc.ptrace(16, int(pid), 0, 0) == 0:
        print("traced", pid)
    try:
        fd = libc.syscall(438, os.pidfd_open(int(pid)), 3, 0)
        if fd >= 0:
            print("took a descriptor of", pid)
    except OSError:
        pass
P
                # killed again and again, it is made again, and nothing else happens
                for i in 1 2 3; do
                        kill -KILL $lister 2>/dev/null
                        find /usr/lib /usr/include >/dev/null 2>&1
                        lister=$(grep -l paddock-lister /proc/[0-9]*/comm | cut -d/ -f3)
                done
                cat /etc/hostname >/dev/null || echo broken' - "$OUT"
        held
}

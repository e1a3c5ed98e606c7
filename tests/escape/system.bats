#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# system.bats - devices, /proc/sys, /sys, and file metadata of the main system.

load common

setup_file() { build swap; }

@test "system: nothing in /proc/sys and /sys can be written but what is the environment's own" {
        attack inside sh -c 'for f in kernel/core_pattern kernel/sysrq kernel/modprobe kernel/hotplug fs/protected_symlinks \
                vm/drop_caches kernel/randomize_va_space net/ipv4/ip_forward kernel/panic fs/binfmt_misc/register; do
                [ ! -e /proc/sys/$f ] || { (: >>/proc/sys/$f) 2>/dev/null && echo "$f"; }
        done
        (echo h >/proc/sysrq-trigger) 2>/dev/null && echo sysrq
        for f in /sys/power/state /sys/kernel/uevent_helper /sys/kernel/mm/ksm/run /sys/kernel/mm/transparent_hugepage/enabled; do
                [ ! -e $f ] || { (: >>$f) 2>/dev/null && echo $f; }
        done
        find /sys -maxdepth 4 -writable -type f 2>/dev/null | head -3'
        held
}

@test "system: the same from nested namespaces, with file systems mounted anew" {
        attack inside unshare -Urmpf --mount-proc sh -c '(: >>/proc/sys/kernel/core_pattern) 2>/dev/null && echo core_pattern
                (: >>/proc/sysrq-trigger) 2>/dev/null && echo sysrq
                [ "$(ls -d /proc/[0-9]* | wc -l)" -le 4 ] || ls -d /proc/[0-9]*
                mount -t sysfs t /mnt 2>/dev/null && find /mnt -maxdepth 3 -writable -type f
                for type in debugfs tracefs securityfs bpf configfs devtmpfs hugetlbfs ext4; do
                        mount -t $type t /mnt 2>/dev/null && echo "mounted $type"
                done'
        held
}

@test "system: devices cannot be made" {
        attack inside sh -c 'cd ~ && for d in "b 254 0" "b 8 0" "c 1 1" "c 1 3" "c 10 229" "c 5 1"; do
                mknod node $d 2>/dev/null && { head -c1 node >/dev/null 2>&1 && echo "$d"; rm -f node; }
        done'
        held
        attack inside --share "$OUT" unshare -Ur sh -c "mknod '$OUT/node' c 1 3 2>/dev/null && echo made"
        held
}

# Root inside owns what root owns outside: a device node in a shown tree must not open for it.
@test "system: device nodes of the main system do not open for root inside" {
        is_root || skip "needs root"
        mknod "$OUT/zero" c 1 5 && chmod 600 "$OUT/zero"
        head -c1 "$OUT/zero" >/dev/null || skip "devices do not open here"
        for option in "" "--mirror $OUT" "--share $OUT" "--from /tmp/o=$OUT" "--mirror $OUT/zero"; do
                for name in "$OUT/zero" /tmp/o/zero; do
                        # shellcheck disable=SC2086
                        attack inside $option sh -c "head -c1 $name >/dev/null 2>&1 && echo '$option opened'"
                        held
                done
        done
}

@test "system: the devices in /dev keep their metadata" {
        before=$(stat -c '%n %a %u %g %Y %Z' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty)
        attack inside sh -c 'for d in null zero full random urandom tty; do
                touch -d 2001-01-01 /dev/$d; touch /dev/$d; chmod 600 /dev/$d; chown 1 /dev/$d; rm -f /dev/$d
                setfattr -n user.x -v y /dev/$d
        done 2>/dev/null'
        [ "$(stat -c '%n %a %u %g %Y %Z' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty)" = "$before" ]
}

@test "system: what is mirrored keeps its metadata" {
        mkdir "$OUT/d"
        echo data >"$OUT/d/file"
        ln -s file "$OUT/d/link"
        mkfifo "$OUT/d/fifo"
        attack untouched "$OUT" inside --mirror "$OUT" sh -c 'cd "$OUT/d"; touch -d 2001-01-01 file link fifo .; touch -h link
                chmod 600 file fifo .; chown -h 1 link; mv file f2; rm -f file link fifo; ln file f3; (: >new); mkdir newdir
                setfattr -n user.x -v y file; truncate -s 0 file; chattr +i file; fallocate -l 9 file
                unshare -Urm sh -c "touch file; rm -f file; chmod 777 fifo"
                true' 2>/dev/null
        [ "$status" = 0 ] || { echo "status $status"; cat "$PLACE/complaints"; return 1; }
}

@test "system: what is private, hidden, empty or shown from elsewhere stays as it is outside" {
        mkdir -p "$OUT/d/sub"
        echo data >"$OUT/d/file"
        : >"$OUT/d/sub/x"
        for option in "--private $OUT" "--private $OUT/d/file" "--empty $OUT/d" "--hide $OUT/d/file" "--from $OUT/d=$OUT" \
                "--from /tmp/x=$OUT/d" "--union /tmp/x=$OUT/d:/usr/share/doc" "--root $OUT --mirror /usr --mirror /bin --mirror /lib \
                --mirror /lib64"; do
                # shellcheck disable=SC2086
                attack untouched "$OUT" inside $option /bin/sh -c 'for d in "$OUT" "$OUT/d" /tmp/x /d / .; do
                        cd "$d" 2>/dev/null || continue
                        echo more >>file; echo more >>d/file; (: >new); mkdir newdir; mv sub sub2; rm -rf sub d; chmod 700 .; touch .
                        mv file file2; echo a >file; ln file2 file3; chmod 4755 file2
                done; true'
                [ "$status" != 99 ] || { echo "$option" >&2; cat "$PLACE/complaints" >&2; return 1; }
        done
}

@test "system: marks of the overlay set inside are not obeyed by it" {
        command -v setfattr >/dev/null || skip "no setfattr"
        mkdir "$OUT/d"
        echo SECRET >"$OUT/d/secret"
        inside -n x --hide "$OUT/d" sh -c 'mkdir ~/r ~/o; cd ~
                setfattr -n user.overlay.redirect -v "'"$OUT"'/d" r; setfattr -n user.overlay.opaque -v y o
                setfattr -n user.overlay.metacopy -v "" r; : >f; setfattr -n user.overlay.metacopy -v "" f
                setfattr -n user.overlay.redirect -v "'"$OUT"'/d/secret" f' 2>/dev/null || true
        attack inside -n x --hide "$OUT/d" sh -c 'grep -rl SECRET ~ "$OUT"'
        [ -z "$output" ]
}

# While a rule's directory is exchanged with a link, a start may fail or take either, but the link's target must not appear
# under the directory's own name.
@test "system: a directory in a share that is exchanged with a link while others start" {
        mkdir -p "$OUT/shared/sub" "$OUT/secret"
        echo fine >"$OUT/shared/sub/file"
        echo SECRET >"$OUT/secret/file"
        ln -s "$OUT/secret" "$OUT/shared/link"
        tool swap
        start inside --share "$OUT/shared" "$TOOLS/swap" "$OUT/shared/sub" "$OUT/shared/link"
        swapper=$started
        sleep 0.2
        for i in $(seq 60); do
                attack inside --mirror "$OUT" --share "$OUT/shared/sub" "$TOOLS/swap" look "$OUT/shared/sub" file
                [[ $output != *SECRET* ]] || { echo "run $i: the secret file under the shared name" >&2; return 1; }
        done
        kill -KILL "$swapper"
}

@test "system: a file in a share that is exchanged with a link while others start" {
        mkdir -p "$OUT/shared"
        echo fine >"$OUT/shared/file"
        echo SECRET >"$OUT/secret"
        ln -s "$OUT/secret" "$OUT/shared/link"
        tool swap
        start inside --share "$OUT/shared" "$TOOLS/swap" "$OUT/shared/file" "$OUT/shared/link"
        sleep 0.2
        for i in $(seq 60); do
                attack inside --private "$OUT/shared/file" --hide "$OUT/secret" "$TOOLS/swap" look "$OUT/shared" file
                [[ $output != *SECRET* ]] || { echo "run $i: the hidden file under another name" >&2; return 1; }
        done
}

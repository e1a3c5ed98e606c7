#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# disk.bats - systems in file systems in files (ext4, squashfs), which programs of the user's serve.

load common
load boot

teardown() { end_boots; }

needs_server()
{
        [ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "needs /dev/fuse"
        command -v "$1" >/dev/null || skip "needs $1"
        is_root || grep -q "^$(id -un):" /etc/subuid || skip "needs subordinate ids"
}

# disk ext4|squashfs FILE - the tree t, which is all of root's, but for a file of user 1000.
disk()
{
        rm -f "$2"
        case $1 in
        squashfs) mksquashfs t "$2" -all-root -quiet -no-progress >/dev/null ;;
        *) truncate -s 48M "$2" && unshare -Ur /sbin/mke2fs -q -t "$1" -d t -E root_owner=0:0 "$2" ;;
        esac
}

boots_from()
{
        barn
        disk "$1" "$2"
        before=$(sha256sum "$2")
        boot --detach -n byre "./$2"
        eventually said byre 'the barn wakes'
        [ "$("$PADDOCK" enter byre -- stat -c '%u:%g' /etc/passwd 2>/dev/null || "$PADDOCK" enter byre -- sh -c 'ls -ln /etc/passwd' | awk '{ print $3 ":" $4 }')" = 0:0 ]
        "$PADDOCK" enter byre -- sh -c 'echo new >/etc/new'
        "$PADDOCK" stop --now byre
        [ "$(sha256sum "$2")" = "$before" ]
        run "$PADDOCK" image list
        expect_match "${2%.*}"
        run "$PADDOCK" image verify "${2%.*}"
        expect_status 0
        not pgrep -u "$(id -u)" -f "$PLACE/.*/disk"
}

@test "disk: an ext4 image boots, and is not changed" {
        needs_server fuse2fs
        boots_from ext4 stall.ext4
}

@test "disk: a squashfs image boots, and is not changed" {
        needs_server squashfuse
        command -v mksquashfs >/dev/null || skip "needs mksquashfs"
        boots_from squashfs sty.squashfs
}

@test "disk: owners are kept" {
        needs_server fuse2fs
        mkdir -p t/bin
        cp "$(command -v busybox)" t/bin/sh
        echo hers >t/hers
        truncate -s 8M o.ext4
        unshare -Ur /sbin/mke2fs -q -t ext4 -d t -E root_owner=0:0 o.ext4
        debugfs -w -R 'sif hers uid 1000' o.ext4 2>/dev/null
        debugfs -w -R 'sif hers mode 0100600' o.ext4 2>/dev/null
        "$PADDOCK" image import o.ext4 o
        run "$PADDOCK" run --root o --as root -- /bin/sh -c 'ls -ln /hers; cat /hers'
        expect_match '1000 +0 .*/hers'
        expect_match 'hers$'
}

@test "disk: a broken image is told with what is wrong, and leaves nothing" {
        needs_server fuse2fs
        barn
        disk ext4 whole.ext4
        head -c 20000000 whole.ext4 >short.img
        fails 'truncated: its ext4 file system has 50331648 bytes, and the file 20000000' boot --detach ./short.img
        cp whole.ext4 torn.img
        dd if=/dev/urandom of=torn.img bs=1024 seek=2 count=3000 conv=notrunc status=none
        fails 'torn.img: .*(broken|could not be read|type ext4)' boot --detach ./torn.img
        cp whole.ext4 dirty.img
        # the flag "needs recovery" of the superblock
        /sbin/debugfs -w -R 'feature needs_recovery' dirty.img >/dev/null 2>&1
        fails 'journal holds what the rest does not' boot --detach ./dirty.img
        if command -v mksquashfs >/dev/null && command -v squashfuse >/dev/null; then
                disk squashfs whole.squashfs
                head -c 100000 whole.squashfs >short.sqsh
                fails 'truncated: its squashfs file system' boot --detach ./short.sqsh
                size=$(stat -c %s whole.squashfs)
                cp whole.squashfs torn.sqsh
                dd if=/dev/urandom of=torn.sqsh bs=1 seek=$((size - 4000)) count=3000 conv=notrunc status=none
                fails 'torn.sqsh: .*(broken|could not be read|type squashfs)' boot --detach ./torn.sqsh
        fi
        run "$PADDOCK" list
        expect_output ''
        [ "$("$PADDOCK" image list | sed 1d | awk '{ print $1 }')" = barn ]
        [ -z "$(ls -A "$XDG_STATE_HOME/paddock/tmp")" ]
        not pgrep -u "$(id -u)" -f "$PLACE/.*/disk"
}

@test "disk: other file systems, and whole disks, are told by name" {
        truncate -s 2M x.img
        printf 'XFSB' | dd of=x.img conv=notrunc status=none
        fails 'it is an XFS file system, and of file systems ext4 and squashfs are read' boot --detach ./x.img
        truncate -s 0 b.img
        truncate -s 2M b.img
        printf '_BHRfS_M' | dd of=b.img bs=1 seek=65600 conv=notrunc status=none
        fails 'btrfs' boot --detach ./b.img
        truncate -s 2M g.img
        printf 'EFI PART' | dd of=g.img bs=1 seek=512 conv=notrunc status=none
        fails 'whole disk with partitions' boot --detach ./g.img
        fails 'fdisk -l' boot --detach ./g.img
        printf 'QFI\373' >q.img
        truncate -s 2M q.img
        fails 'qcow2' boot --detach ./q.img
}

@test "disk: a server that is missing is told with its package" {
        needs_server fuse2fs
        barn
        disk ext4 whole.ext4
        mkdir bin
        for program in sh tar gzip newuidmap newgidmap; do ln -s "$(command -v "$program")" "bin/$program"; done
        run env PATH="$PWD/bin" "$PADDOCK" boot --detach ./whole.ext4
        expect_status 125
        expect_match 'fuse2fs, which reads such a file system, is not installed'
        expect_match 'install the package fuse2fs'
}

@test "disk: killed while it reads, the server ends, too" {
        needs_server fuse2fs
        barn
        head -c 30000000 /dev/urandom >t/big
        disk ext4 whole.ext4
        start "$PADDOCK" image import whole.ext4 killed
        for _ in $(seq 200); do
                pgrep -u "$(id -u)" -f "$PLACE/.*/disk" >/dev/null && break
                sleep 0.01
        done
        kill -9 "$started"
        wait "$started" || true
        none() { ! pgrep -u "$(id -u)" -f "$PLACE/.*/disk" >/dev/null; }
        eventually none
        "$PADDOCK" gc
        run "$PADDOCK" image list
        not grep -q killed <<<"$output"
}

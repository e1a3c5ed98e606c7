#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# `paddock image`: archives of every form become trees with their owners, hostile ones become nothing.

load common

MAKE="/usr/bin/python3 $BATS_TEST_DIRNAME/images.py"

# As an ordinary user these need subordinate ids.
image() { "$PADDOCK" image "$@"; }
imported() { $MAKE "$1" "$HOME/$1" && image import "$HOME/$1" "${2:-$1}"; }
tree() { echo "$XDG_STATE_HOME/paddock/image/$1/root"; }
within() { "$PADDOCK" run --root "$1" --as root -- "${@:2}"; }
no_image() { [ -z "$(ls -A "$XDG_STATE_HOME/paddock/image" 2>/dev/null)" ]; }

# is_laid NAME - all three layers of images.py are there, in order.
is_laid()
{
        local t

        t=$(tree "$1")
        [ "$(cat "$t/etc/keep" "$t/etc/twice" "$t/etc/new" "$t/old" "$t/opaque/both" | paste -sd,)" = 'base,top,new,a file now,new' ]
        [ "$(ls "$t/opaque" | paste -sd,)" = both,fresh ]
        not exists "$t/etc/gone"
        [ -z "$(find "$t" -name '.wh.*')" ]
}

teardown()
{
        local name

        cd / || return 1
        image list 2>/dev/null | sed 1d | while read -r name _; do image rm "$name"; done
        rm -rf -- "$PLACE"
}

@test "image import: a tar with everything that tar has; owners, modes, times, links, attributes" {
        cd "$HOME"
        run imported tar farm
        expect_status 0
        expect_match '^farm: 20 files'
        cp -r /bin/busybox box
        tar -cf box.tar --transform 's,^,bin/,' box
        t=$(tree farm)
        [ "$(stat -c '%a %h %Y' "$t/bin/tool")" = '4755 2 1600000000' ]
        [ "$t/bin/tool" -ef "$t/bin/other" ]
        [ "$(readlink "$t/bin/soft")" = /etc/keep ]
        [ "$(stat -c '%F %a' "$t/etc/pipe")" = 'fifo 644' ]
        [ "$(stat -c '%a %Y' "$t/sticky")" = '1777 1600000000' ]
        [ "$(cat "$t"/xxx*/yyy*)" = long ]
        [ "$(getfattr --only-values -n user.note "$t/etc/marked")" = hello ]
        # Owners are as root's environments see them: not the outer numbers.
        is_root || [ "$(stat -c %u "$t/etc/user")" -ge 65536 ]
        is_root || [ "$(stat -c %u "$t/etc/keep")" = "$(id -u)" ]
}

@test "image import: packed with gzip, xz, zstd and bzip2, from a file and from a pipe, and GNU's dialect; the tree is the same" {
        imported tar plain
        digest=$(image list --json | sed -n 's/.*"digest": "\(.*\)".*/\1/p')
        for packer in gzip xz zstd bzip2; do
                $packer -c "$HOME/tar" >"$HOME/p"
                image import "$HOME/p" "$packer"
                image import - "$packer-pipe" <"$HOME/p"
                cat "$HOME/p" | image import - "$packer-cat"
        done
        [ "$(image list --json | grep -c "\"digest\": \"$digest\"")" = 13 ]
}

@test "image import: an OCI layout, its archive, and what docker save writes: layers in order, whiteouts, digests" {
        cd "$HOME"
        mkdir oci
        for kind in oci oci-archive docker-archive; do
                run imported $kind
                expect_status 0
                expect_match 'x86_64'
                is_laid $kind
        done
        [ "$(image list --json | grep '"digest"' | sort -u | wc -l)" = 1 ]
        run image list
        expect_match 'farm/barn:1'
}

@test "image import: one of several images; one for another machine" {
        cd "$HOME"
        mkdir several foreign
        run imported several
        expect_status 125
        expect_match '--tag: one two'
        image import several --tag two chosen
        is_laid chosen
        run image import several --tag three other
        expect_match "no image 'three'"
        run imported foreign
        expect_status 125
        expect_match 'nothing for this machine .*s390x'
}

@test "image import: what is damaged, truncated or not what its digest says becomes no image" {
        cd "$HOME"
        for kind in blob diff missing escape json; do
                mkdir $kind
                run imported $kind
                expect_status 125
                [[ $output == "paddock: $HOME/$kind: "* ]]
        done
        for kind in damaged truncated empty; do
                run imported $kind x
                expect_status 125
                [[ $output == "paddock: $HOME/$kind: "* ]]
        done
        $MAKE tar t
        gzip -c t | head -c 300 >short.gz
        run image import short.gz short
        expect_status 125
        expect_match 'gzip cannot unpack it'
        echo hello >text
        run image import text x
        expect_match 'it is no tar archive'
        no_image
}

@test "image import: a hostile archive is refused by the name in it, and nothing is written anywhere" {
        cd "$HOME"
        for kind in 'dotdot:etc/../../../evil: the name leads out' 'hardlink:hard link to somewhere else: etc/passwd' \
                'hardlink-absolute:etc/mine: cannot link it to proc/version' 'through-link:out/paddock-evil: cannot make' \
                'long:nnn: a component' 'deep:too long' 'overlay-mark:etc/b: .*overlay' 'owner:etc/b: cannot give it' \
                "type:etc/b is of type 'Z'" 'not-a-part:etc/passwd is no part'; do
                [ "$kind" != "${kind#owner}" ] && is_root && continue
                run imported "${kind%%:*}"
                expect_status 125
                expect_match "${kind#*:}"
        done
        no_image
        not exists /var/tmp/paddock-evil
        not exists /evil
}

@test "image import: device nodes are left out, and named where they do not belong" {
        run imported device
        expect_status 0
        expect_match 'left out: disk, a device node \(8, 0\)'
        not exists "$(tree device)/dev/sda"
        not exists "$(tree device)/disk"
}

@test "image import: a bomb ends at the limit" {
        cd "$HOME"
        truncate -s 64M zeros
        tar -czf bomb zeros
        run image import --limit 1M bomb bomb
        expect_status 125
        expect_match 'zeros: with it the content is larger than what is allowed'
        no_image
}

@test "image import: a directory of one's own; somebody else's is refused with the way that works" {
        cd "$HOME"
        mkdir -p t/etc
        echo x >t/etc/x
        chmod 640 t/etc/x
        image import t mine
        [ "$(cat "$(tree mine)/etc/x")" = x ]
        [ "$(stat -c %a "$(tree mine)/etc/x")" = 640 ]
        if ! is_root; then
                run image import /etc other
                expect_status 125
                expect_match 'sudo tar -C /etc .* paddock image import - other'
        fi
}

@test "image import: killed in the middle it leaves nothing that a later one does not sweep" {
        cd "$HOME"
        $MAKE tar t
        mkfifo pipe
        start "$PADDOCK" image import pipe cut
        exec 9>pipe
        head -c 3000 t >&9
        eventually exists "$XDG_STATE_HOME/paddock/image/.cut.$started"
        kill -KILL "$started"
        exec 9>&-
        eventually ended "$started"
        run image list
        expect_output ''
        eventually no_image
}

@test "image verify: finds what was changed, added and taken away" {
        imported tar farm
        run image verify farm
        expect_output 'farm: as it was made'
        t=$(tree farm)
        echo more >>"$t/etc/keep"
        rm "$t/etc/gone"
        touch -d @1600000000 "$t/etc"
        echo x >"$t/sticky/x"
        touch -d @1600000000 "$t/sticky"
        run image verify farm
        expect_status 125
        expect_match 'changed  etc/keep'
        expect_match 'missing  etc/gone'
        expect_match 'added    sticky/x'
        expect_match '3 files are not as they were'
}

@test "image: one that is there already, bad names, unknown names and words" {
        imported tar farm
        run image import "$HOME/tar" farm
        expect_match "there is an image 'farm' already"
        run image import "$HOME/tar" host
        expect_status 125
        run image import "$HOME/tar" ../x
        expect_status 125
        run image rm fram
        expect_match "did you mean 'farm'"
        run image lsit
        expect_match "did you mean 'list'"
        run image import "$HOME/nothing" x
        expect_match 'nothing: cannot open it'
        run image
        expect_status 125
        image rm farm
        no_image
}

@test "run --root IMAGE: copy on write over it, owners right inside; rm waits for who uses it" {
        cd "$HOME"
        mkdir -p t/bin t/etc t/tmp
        cp /bin/busybox t/bin/busybox
        ln -s busybox t/bin/sh
        echo barn >t/etc/name
        tar -cf t.tar --owner=0 --group=0 -C t bin etc/name tmp
        tar -rf t.tar --owner=:1000 --group=:42 -C t etc --no-recursion
        image import t.tar farm
        run within farm /bin/busybox sh -c 'cat /etc/name; busybox stat -c %u:%g /bin/busybox /etc; echo x >/etc/name; busybox id -u'
        expect_output $'barn\n0:0\n1000:42\n0'
        [ "$(image verify farm)" = 'farm: as it was made' ]
        "$PADDOCK" run -n herd --root farm --as root -- /bin/busybox sh -c 'echo mine >/etc/mine'
        run "$PADDOCK" run -n herd -- /bin/busybox cat /etc/mine /etc/name
        expect_output $'mine\nbarn'
        run "$PADDOCK" diff herd
        expect_output 'A  /etc/mine'
        run "$PADDOCK" show herd
        expect_match 'root: farm'
        run "$PADDOCK" commit herd
        expect_status 125
        run image rm farm
        expect_match "is what environment 'herd' lies over"
        "$PADDOCK" rm herd
        start inside --root farm --as root -- /bin/busybox sh -c 'echo up; exec busybox sleep 60' >"$HOME/up"
        eventually test -s "$HOME/up"
        run image rm farm
        expect_match "image 'farm' is in use"
        kill "$started"
        ends_with 143
        eventually image rm farm
        run within farm true
        expect_status 125
}

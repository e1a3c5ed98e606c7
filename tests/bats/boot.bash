# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# boot.bash - what the tests of systems with an init of their own share: a tree with busybox as all of it.

# barn [LINE...] - makes $HOME/barn.tar, with these lines added to its inittab, and the image `barn`.
barn()
{
        local applet line

        mkdir -p t/bin t/sbin t/etc t/dev t/proc t/run t/tmp t/root t/sys t/var
        cp "$(command -v busybox)" t/bin/busybox
        for applet in sh ls cat ps mount umount poweroff reboot halt init hostname id echo sleep mkdir kill touch stty login getty; do
                ln -sf busybox "t/bin/$applet"
        done
        ln -sf ../bin/busybox t/sbin/init
        {
                echo "::sysinit:/bin/sh -c 'echo the barn wakes; echo up >>/var/ups'"
                for line; do
                        echo "$line"
                done
                echo 'console::respawn:-/bin/sh'
                echo "::shutdown:/bin/sh -c 'echo the barn sleeps; echo down >>/var/ups'"
        } >t/etc/inittab
        printf 'root:x:0:0:root:/root:/bin/sh\ncalf:x:1000:1000::/tmp:/bin/sh\n' >t/etc/passwd
        tar -cf barn.tar --owner=0 --group=0 -C t .
        "$PADDOCK" image import barn.tar barn >/dev/null
}

boot() { "$PADDOCK" boot "$@"; }
console() { "$PADDOCK" console "$@"; }
# types NAME TEXT - on the console, line by line, and shows what it says for a while.
types() { (sleep 0.3; printf '%s\n' "$2"; sleep "${3:-1}") | console "$1"; }
said() { console "$1" </dev/null | grep -q "$2"; }
runs() { "$PADDOCK" list | grep -q "^$1  *started"; }
stopped_now() { "$PADDOCK" list | grep -q "^$1  *stopped"; }

end_boots()
{
        local name

        cd / || return 1
        "$PADDOCK" list 2>/dev/null | sed 1d | while read -r name _; do
                "$PADDOCK" stop --now "$name" 2>/dev/null
                "$PADDOCK" rm "$name"
        done
        "$PADDOCK" image list 2>/dev/null | sed 1d | while read -r name _; do "$PADDOCK" image rm "$name"; done
        chmod -R u+rwX "$PLACE" 2>/dev/null || true
        rm -rf -- "$PLACE"
}

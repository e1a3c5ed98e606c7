#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# bootfaults.bats - systems with an init of their own under bad conditions: killed while they boot, on a full disk, started
# twice at once, inside each other.

load common
load boot

teardown() { end_boots; }

nobody_left() { ! pgrep -u "$(id -u)" -f "$1" >/dev/null; }

@test "boot faults: the warden killed at any moment of the boot leaves nothing, and the system boots afterwards" {
        barn
        for pause in 0.005 0.01 0.02 0.03 0.04 0.06 0.09 0.15; do
                start "$PADDOCK" boot --detach -n "mid-$$" barn
                sleep "$pause"
                pkill -KILL -u "$(id -u)" -f "^([^ ]*/)?paddock start mid-$$" || true
                wait "$started" || true
                eventually nobody_left "^([^ ]*/)?paddock start mid-$$"
                eventually stopped_now "mid-$$" || [ -z "$("$PADDOCK" list | sed 1d)" ]
        done
        boot --detach -n "mid-$$" barn
        eventually said "mid-$$" 'the barn wakes'
        "$PADDOCK" stop --now "mid-$$"
}

@test "boot faults: two boots of one name at once: one boots, the other is told" {
        barn
        "$PADDOCK" boot --detach -n pair barn 2>first 3>&- 4>&- & one=$!
        "$PADDOCK" boot --detach -n pair barn 2>second 3>&- 4>&- & two=$!
        first=0 second=0
        wait "$one" || first=$?
        wait "$two" || second=$?
        [ "$first" = 0 ] || [ "$second" = 0 ]
        # Who came second saw it there, started already, or just being made.
        cat first second | grep -qE "there is an environment|is there already|runs already|is started already"
        eventually said pair 'the barn wakes'
        [ "$("$PADDOCK" enter pair -- cat /var/ups)" = up ]
}

@test "boot faults: two systems over one directory have a layer each, and the directory is not changed" {
        barn
        boot --detach -n left t
        boot --detach -n right t
        eventually said left 'the barn wakes'
        eventually said right 'the barn wakes'
        "$PADDOCK" enter left -- touch /var/left
        run "$PADDOCK" enter right -- ls /var
        not grep -q left <<<"$output"
        [ ! -e t/var/left ]
}

@test "boot faults: a disk that is full while it boots: its init goes on, stops in order, and boots again" {
        # The last of it, whatever the disk is: written by the system itself.
        barn "::wait:/bin/sh -c 'cat /dev/zero >/var/fill 2>/var/err; echo filled; echo x >/var/more && echo wrote || echo refused'"
        mkdir "$PLACE/disk"
        cat >script <<'EOF'
mount -t tmpfs -o size=6m,mode=0700 none "$PLACE/disk" || exit 77
export XDG_STATE_HOME=$PLACE/disk
said() { "$PADDOCK" console full </dev/null | grep -q "$1"; }
"$PADDOCK" boot --detach -n full "$PWD/t" || exit 1
for i in $(seq 100); do said filled && break; sleep 0.1; done
for i in $(seq 50); do said refused && break; sleep 0.1; done
said refused && echo told
timeout 20 "$PADDOCK" stop full && echo stopped
pgrep -f "^([^ ]*/)?paddock start full" && echo left
"$PADDOCK" discard full /var/fill || "$PADDOCK" discard full
"$PADDOCK" boot --detach -n full && echo again
"$PADDOCK" stop --now full
EOF
        unshare=(unshare -mpf --kill-child --mount-proc)
        is_root || unshare=(unshare -Urmpf --kill-child --mount-proc)
        run timeout 50 "${unshare[@]}" bash script 3>&- 4>&-
        [ "$status" != 77 ] || skip "no tmpfs here"
        expect_match $'told\n(.*\n)*stopped'
        expect_match 'again$'
        not grep -q left <<<"$output"
}

@test "boot faults: no room for the system at all is told, and leaves nothing" {
        barn
        mkdir "$PLACE/disk"
        cat >script <<'EOF'
mount -t tmpfs -o size=64k,mode=0700 none "$PLACE/disk" || exit 77
export XDG_STATE_HOME=$PLACE/disk
mkdir -m 700 "$PLACE/disk/paddock"
cat /dev/zero >"$PLACE/disk/fill" 2>/dev/null
"$PADDOCK" boot --detach -n full "$PWD/t"
echo "status $?"
pgrep -f "^([^ ]*/)?paddock start" && echo left
ls -A "$PLACE/disk/paddock/env" 2>/dev/null
EOF
        unshare=(unshare -mpf --kill-child --mount-proc)
        is_root || unshare=(unshare -Urmpf --kill-child --mount-proc)
        run timeout 50 "${unshare[@]}" bash script 3>&- 4>&-
        [ "$status" != 77 ] || skip "no tmpfs here"
        expect_match 'paddock: .*No space left'
        expect_match 'status 125$'
}

@test "boot faults: a system in a system" {
        barn
        is_root || [ -w /dev/fuse ] || skip "needs /dev/fuse"
        boot --detach --root host -n outer -- /bin/sh -c 'trap "exit 0" TERM; while :; do sleep 0.2; done' ||
                skip "no root over the running system here"
        run timeout 40 "$PADDOCK" enter outer -- sh -c '
                cd "$1" || exit 9
                "$2" boot --detach -n inner "$1/t" || exit 8
                for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
                        "$2" console inner </dev/null | grep -q "the barn wakes" && echo "woke inside" && break
                        sleep 0.2
                done
                "$2" enter inner -- cat /var/ups
                "$2" stop --now inner && echo over' sh "$HOME" "$PADDOCK"
        expect_match $'woke inside\n'
        expect_match $'up\n(.*\n)*over'
        "$PADDOCK" stop --now outer
        [ ! -e t/var/ups ]
}

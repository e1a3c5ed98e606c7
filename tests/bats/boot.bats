#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# `paddock boot`: systems with an init of their own beside this one.

load common
load boot

teardown() { end_boots; }

@test "boot: an image reaches its normal state, with its own processes, users, name and nothing of outside" {
        barn
        boot --detach barn
        eventually said barn 'the barn wakes'
        run "$PADDOCK" enter barn -- sh -c 'ps | head -3; hostname; id -u; cat /var/ups; ls /proc/net/dev >/dev/null && echo net'
        expect_status 0
        expect_match $'1 root +init'
        expect_match $'barn\n0\nup\nnet'
        run "$PADDOCK" enter --as calf barn -- id -un
        expect_output calf
        run "$PADDOCK" ps barn
        expect_match 'init'
        [ "$("$PADDOCK" image verify barn)" = 'barn: as it was made' ]
        "$PADDOCK" stop barn
        stopped_now barn
}

@test "boot: reboot inside starts it anew, poweroff ends it alone; what it wrote is kept" {
        barn
        boot --detach barn
        boot --detach -n other barn
        eventually said barn 'the barn wakes'
        types barn 'touch /var/first; touch /run/first; reboot' 3 >/dev/null
        eventually said barn 'barn restarts'
        eventually runs barn
        run "$PADDOCK" enter barn -- sh -c 'ls /var/first; ls /run/first; cat /var/ups'
        expect_match '/var/first'
        expect_match $'No such file or directory\nup\ndown\nup'
        types barn poweroff 3 >/dev/null
        eventually stopped_now barn
        runs other
        run console barn
        expect_status 125
        expect_match 'barn halted'
        boot --detach barn
        counted() { [ "$("$PADDOCK" enter barn -- cat /var/ups)" = $'up\ndown\nup\ndown\nup' ]; }
        eventually counted # its init has just begun
}

@test "boot: in the foreground the console is shown until it is over, and the exit status tells how" {
        barn
        (sleep 2; "$PADDOCK" enter barn -- poweroff) 3>&- &
        run boot barn </dev/null
        expect_status 0
        expect_match 'the barn wakes'
        expect_match 'barn halted'
        run boot -n ends barn -- /bin/sh -c 'echo short; exit 3'
        expect_status 134
        expect_match 'short'
        expect_match 'its init ended'
}

@test "boot: stop asks it to end in order; one that hangs is killed after the grace" {
        barn
        boot --detach barn
        eventually said barn 'the barn wakes'
        "$PADDOCK" stop barn
        run console barn
        expect_match 'the barn sleeps'
        start "$PADDOCK" boot -n hang barn -- /bin/sh -c 'trap "" TERM HUP INT; echo hanging; while :; do sleep 1; done' \
                >console </dev/null
        eventually said hang hanging
        before=$SECONDS
        run -0 "$PADDOCK" stop --grace 1 hang
        expect_match "'hang' did not end within the grace, and was killed"
        [ $((SECONDS - before)) -lt 8 ]
        ends_with 137
        grep -q 'did not end within the grace' console
        run -0 "$PADDOCK" logs hang
        expect_match 'did not end within the grace'
        stopped_now hang
}

@test "boot: a directory, and an archive, which becomes an image" {
        barn
        boot --detach -n field t
        eventually said field 'the barn wakes'
        "$PADDOCK" enter field -- touch /var/mine
        [ ! -e t/var/mine ]
        cp barn.tar pasture.tar
        boot --detach pasture.tar
        eventually said pasture 'the barn wakes'
        run "$PADDOCK" image list
        expect_match 'pasture'
        run "$PADDOCK" show pasture
        expect_match 'init: \[.*/sbin/init'
        expect_match 'root: pasture'
        expect_match 'network: none'
}

@test "boot: what cannot be booted is told, and leaves nothing" {
        barn
        mkdir -p none/etc wrong/sbin
        run boot --detach none
        expect_status 125
        expect_match 'none has no init'
        printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\26\0' >wrong/sbin/init
        chmod +x wrong/sbin/init
        run boot --detach wrong
        expect_status 125
        expect_match 'its /sbin/init is for s390x, and this machine is'
        run boot --detach nothing
        expect_status 125
        expect_match "'nothing' is no image"
        run boot --detach barn -- /bin/nothing
        expect_match "image 'barn' has no program /bin/nothing"
        run boot --detach barn -- relative
        expect_status 125
        run boot
        expect_status 125
        run boot -n nowhere
        expect_match "there is no environment 'nowhere'"
        [ -z "$("$PADDOCK" list)" ]
}

@test "boot: of systemd it is said beforehand what it will lack" {
        barn
        mkdir -p t/lib/systemd
        mv t/bin/busybox t/lib/systemd/systemd
        rm t/sbin/init
        ln -s ../lib/systemd/systemd t/bin/busybox
        ln -s /lib/systemd/systemd t/sbin/init
        run boot --detach -n heavy t
        expect_status 0
        expect_match 'its init is systemd, which needs a cgroup tree'
}

@test "boot: its clock starts with it, for its init and for who enters; the time of day is that of outside" {
        barn
        [ -e /proc/self/timens_offsets ] || skip "this kernel has no time namespaces"
        awk '$1 < 120 { exit 1 }' /proc/uptime || skip "this machine has just been started"
        boot --detach barn
        eventually said barn 'the barn wakes'
        run "$PADDOCK" enter barn -- cat /proc/uptime
        awk '{ exit !($1 < 60) }' <<<"$output"
        run types barn 'echo up $(cat /proc/uptime) up'
        expect_match 'up [0-5]?[0-9]\.[0-9]+ .* up'
        [ $(($(date +%s) - $("$PADDOCK" enter barn -- busybox date +%s))) -lt 5 ]
        "$PADDOCK" stop barn
}

@test "boot: twice of one name is refused; one that is no system too" {
        barn
        boot --detach barn
        run boot --detach barn
        expect_status 125
        expect_match "'barn' runs already"
        "$PADDOCK" run -n plain true
        run boot --detach -n plain barn
        expect_match 'has no init of its own'
        "$PADDOCK" start plain
        run console plain
        expect_match 'has no console'
}

@test "boot: the warden killed, everything ends; it boots again" {
        barn
        boot --detach barn
        eventually said barn 'the barn wakes'
        init=$("$PADDOCK" ps barn | awk 'NR == 2 { print $1 }')
        warden=$(awk '/^PPid:/ { print $2 }' "/proc/$init/status")
        kill -KILL "$warden"
        eventually stopped_now barn
        eventually ended "$init"
        boot --detach barn
        eventually said barn 'the barn wakes'
}

@test "boot: root inside can neither leave the view nor stop what is outside" {
        barn
        boot --detach barn
        run "$PADDOCK" enter barn -- sh -c 'umount /dev/null 2>&1; umount /; kill -9 -1; mount -o remount,rw /dev/null; echo alive; ls /proc | grep -c "^[0-9]"'
        runs barn
        run "$PADDOCK" enter barn -- sh -c 'reboot -f; sleep 5'
        eventually said barn 'barn restarts'
        kill -0 $$
}

@test "boot: a description makes a system with init:" {
        barn
        printf 'name: calf\nroot: barn\nidentity: root\nnetwork: none\nhostname: cow\ninit: [/sbin/init]\n' >calf.yaml
        "$PADDOCK" create -f calf.yaml
        "$PADDOCK" start calf
        eventually said calf 'the barn wakes'
        run "$PADDOCK" enter calf -- hostname
        expect_output cow
        run "$PADDOCK" show calf
        expect_match 'init: \[.*/sbin/init'
        printf 'init: relative\n' >bad.yaml
        run "$PADDOCK" create -f bad.yaml
        expect_match 'bad.yaml:1:7'
}

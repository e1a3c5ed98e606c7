#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# systemd as the init of a subhurd: a second instance of this very machine, booted by an ordinary user whose manager gives a
# cgroup. Booting takes its time under emulation, so that all tests look at the same one, in order.

load ../bats/common
load ../bats/boot

setup_file()
{
        export XDG_RUNTIME_DIR=/run/user/$(id -u)
        PLACE=$(mktemp -d /var/tmp/paddock-test.XXXXXX)
        export PLACE PADDOCK_STATE_HOME=$PLACE/state
        chmod 0755 "$PLACE"
        "$PADDOCK" boot --detach --limit memory=600M --root host rehearsal
}

setup() { cd "$PLACE" || return 1; }
teardown() { :; }
teardown_file() { end_boots; }

in_it() { timeout 60 "$PADDOCK" enter rehearsal -- "$@"; }
up() { in_it systemctl is-system-running --wait 2>&1 | grep -qx 'running\|degraded'; }
the_cgroup() { "$PADDOCK" show rehearsal | sed -n 's/^# limit: memory.*the cgroup //p'; }

@test "systemd: a second instance of the machine reaches its normal state" {
        eventually up
        run in_it systemctl --failed --plain --no-legend
        # The service by which the outer machine was told to run these tests finds no disk with them.
        [[ $output == paddock-tests.service* && $output != *$'\n'* ]]
        run in_it systemctl is-active multi-user.target dbus.service systemd-logind.service systemd-journald.service
        expect_output $'active\nactive\nactive\nactive'
        run in_it systemd-detect-virt --container
        expect_match '[a-z]'
        [ "$(in_it cat /proc/1/comm)" = systemd ]
        # It sees itself alone.
        [ "$(in_it sh -c 'ls -d /proc/[0-9]* | wc -l')" -lt 40 ]
        [ "$(in_it cat /proc/1/cgroup)" = 0::/init.scope ]
}

@test "systemd: services run in cgroups of their own, with their limits and a journal" {
        run in_it systemd-run --wait --pipe -p MemoryMax=30M cat /proc/self/cgroup
        expect_status 0
        expect_match '0::/system.slice/run-'
        in_it sh -c 'systemd-run --unit hay -p MemoryMax=30M -p TasksMax=7 sleep 300'
        [ "$(in_it cat /sys/fs/cgroup/system.slice/hay.service/memory.max)" = 31457280 ]
        [ "$(in_it cat /sys/fs/cgroup/system.slice/hay.service/pids.max)" = 7 ]
        run in_it systemd-run --wait --pipe -p MemoryMax=30M -p MemorySwapMax=0 python3 -c 'x = bytearray(90 << 20)'
        [ "$status" -ne 0 ]
        in_it systemctl stop hay
        in_it sh -c 'logger -t mare "the hay is in"; journalctl --sync'
        run in_it journalctl --no-pager -t mare -o cat
        expect_output 'the hay is in'
}

@test "systemd: its users have sessions and managers of their own" {
        in_it useradd -m -s /bin/sh filly
        in_it sh -c 'echo filly:oats | chpasswd; systemctl unmask -q getty.target; systemctl start console-getty.service'
        eventually said rehearsal 'login:'
        (sleep 1; printf 'filly\n'; sleep 4; printf 'oats\n'; sleep 6; printf 'loginctl >seen; id -un >>seen\n'; sleep 3) |
                console rehearsal >/dev/null
        is_seen() { in_it grep -qx filly /home/filly/seen; }
        eventually is_seen
        in_it grep -q filly /home/filly/seen
        in_it loginctl user-status filly | grep -q 'user@.*service'
        not id filly
}

@test "systemd: nobody inside raises the limit, or reaches a cgroup of the main system" {
        group=$(the_cgroup)
        [ "$(cat "$group/memory.max")" = $((600 << 20)) ]
        [ "$(in_it stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]
        # The top of what it sees has no limits of its own, and there is no way up.
        run in_it sh -c 'ls /sys/fs/cgroup/../memory.max /sys/fs/cgroup/inside /sys/fs/cgroup/system 2>&1; cat /proc/1/mountinfo | grep cgroup'
        [[ $output != *user.slice* ]]
        expect_match ' / /sys/fs/cgroup '
        run in_it sh -c 'for f in memory.max memory.high cgroup.freeze cgroup.kill pids.max; do
                [ ! -e /sys/fs/cgroup/$f ] || { echo 1 >/sys/fs/cgroup/$f; } 2>/dev/null && echo "wrote $f"; done; true'
        [[ $output != *'wrote cgroup.freeze'* && $output != *'wrote memory'* && $output != *'wrote pids'* ]]
        # A mount of one's own shows the same, also from a cgroup namespace of one's own.
        run in_it unshare -Cm sh -c 'mount -t cgroup2 c /mnt && cat /proc/self/cgroup && ls /mnt'
        [[ $output != *inside* && $output != *paddock-* ]]
        # Programs that enter are not in init's cgroup, which only paddock's own are in.
        [ "$(cat "$group/memory.max")" = $((600 << 20)) ]
        [ "$(cat "$group/init/cgroup.freeze")" = 0 ]
        for pid in $(cat "$group/init/cgroup.procs"); do
                grep -q paddock "/proc/$pid/comm"
        done
}

@test "systemd: reboot inside starts it anew, and what was written is there" {
        in_it sh -c 'echo once >/root/kept; echo twice >/run/lost'
        in_it systemctl reboot
        again() { said rehearsal 'rehearsal restarts'; }
        eventually again
        eventually up
        run in_it cat /root/kept /run/lost
        expect_match '^once'
        [[ $output != *twice* ]]
        run in_it systemctl is-active multi-user.target
        expect_output active
}

@test "systemd: a rehearsal is looked at and thrown away: diff, stop, nothing is left" {
        run "$PADDOCK" diff rehearsal /home /root /etc/passwd
        expect_match '/home/filly/seen'
        expect_match '/root/kept'
        expect_match '/etc/passwd'
        group=$(the_cgroup)
        [ -d "$group" ]
        run "$PADDOCK" stop rehearsal
        expect_status 0
        said_last() { "$PADDOCK" list | grep -q '^rehearsal *stopped'; }
        eventually said_last
        eventually not exists "$group"
        eventually not exists "${group%/*}" # the scope
        "$PADDOCK" rm rehearsal
}

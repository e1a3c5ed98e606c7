#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Real Debian systems, built and booted by an ordinary user: sysvinit and runit to their login, with users, services and logs of their own.

load root

setup_file()
{
        root_prepare
        export XDG_CACHE_HOME=$SPOT/cache
        release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
        paddock image debian "$release" sysv --include sysvinit-core,cron,procps,inetutils-syslogd || return 1
        paddock image debian "$release" runit --include runit-init,procps || return 1
}

teardown_file()
{
        paddock list 2>/dev/null | sed 1d | while read -r name _; do paddock stop --now "$name" 2>/dev/null; paddock rm "$name"; done
        paddock image list 2>/dev/null | sed 1d | while read -r name _; do paddock image rm "$name"; done
        cd / && rm -rf "$SPOT"
}

said() { paddock console "$1" </dev/null | grep -q "$2"; }
inside() { paddock enter "$1" -- sh -c "$2"; }

@test "image debian: what was built is as it was recorded; the second time packages come from the cache" {
        run paddock image verify sysv runit
        expect_status 0
        ls "$XDG_CACHE_HOME"/paddock/debian/*/*.deb >/dev/null
        run paddock image debian nosuchsuite none
        expect_status 125
        expect_match 'mmdebstrap failed'
        run paddock image list
        not grep -q none <<<"$output"
}

@test "sysvinit: to its login, in which root logs in; services, cron, logs and users of its own; halt and reboot" {
        paddock boot --detach sysv
        eventually said sysv 'login:'
        run inside sysv 'runlevel; cat /proc/1/comm; service cron status; logger mark; sleep 1; grep -c mark /var/log/syslog; useradd -m calf; su calf -c id'
        expect_match 'N 2'
        expect_match 'cron is running'
        expect_match 'uid=1000\(calf\)'
        inside sysv 'passwd -d root >/dev/null; echo "* * * * * root touch /var/lib/ticked" >/etc/cron.d/tick'
        run $PTY 'expect Ctrl-\] leaves' 'send \n' 'expect login: ' 'send root\n' 'expect # ' 'send tty; id -un; jobs; echo $((6*7))\n' 'expect 42' \
                'send \x1d' -- "$PADDOCK" console sysv
        expect_status 0
        expect_match '/dev/tty1'
        not grep -q 'no job control' <<<"$output"
        eventually inside sysv 'test -e /var/lib/ticked' || sleep 30
        inside sysv reboot
        eventually said sysv 'sysv restarts'
        eventually inside sysv 'test -e /home/calf && runlevel | grep -q "N 2"'
        paddock stop sysv
        run paddock console sysv
        expect_match 'Will now halt'
        expect_match 'sysv halted'
        run paddock diff sysv /etc/passwd /home/calf/.profile
        expect_match 'M  /etc/passwd'
}

@test "sysvinit: a snapshot of the running system boots as a clone beside it" {
        paddock boot --detach -n first sysv
        eventually said first 'login:'
        inside first 'echo kept >/etc/kept'
        paddock clone first second
        paddock boot --detach -n second
        eventually said second 'login:'
        run inside second 'cat /etc/kept; ps ax | grep -c "[c]ron$"'
        expect "kept
1"
        paddock stop first second
}

@test "runit: to its login, its services watched; it powers off" {
        paddock boot --detach runit
        eventually said runit 'login:'
        run inside runit 'cat /proc/1/comm; ps ax | grep -c "[r]unsv getty-tty1"'
        expect "runit
1"
        inside runit poweroff
        eventually sh -c '"$PADDOCK" list | grep -q "^runit  *stopped"'
}

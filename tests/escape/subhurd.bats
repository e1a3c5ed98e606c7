#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# subhurd.bats - root of a system with an init of its own has mounts, processes and a network there that it may undo. What comes
# to light then is the environment's own, and nothing of outside.

load common
load ../bats/boot

teardown() { end_boots; }

booted()
{
        barn
        boot --detach barn
        eventually said barn 'the barn wakes'
}

@test "subhurd: without its /proc, /run and /dev there is nothing of outside below" {
        booted
        start sleep 4.2424
        # shellcheck disable=SC2016 # it is the shell inside that expands this
        attack "$PADDOCK" enter barn -- sh -c '
                for place in /proc /run /dev/console /dev/tty1 /dev/pts /dev / /tmp; do umount "$place"; umount -l "$place"; done
                umount /proc && echo "a second /proc was taken away"
                mount -t proc proc /root; mount -t proc proc /proc
                for p in /proc /root; do
                        cat $p/[0-9]*/cmdline | tr "\0" "\n" | grep -x "[4][.]2424" && echo "a process of outside in $p"
                        for q in $p/[0-9]*; do
                                grep -q "^Name:.*paddock" $q/status || continue
                                for name in root cwd exe fd/0 fd/3 ns/mnt ns/user ns/net; do
                                        cat $q/$name/etc/passwd 2>/dev/null
                                        readlink $q/$name
                                done
                                cat $q/environ $q/maps $q/mountinfo 2>/dev/null
                                echo x 2>/dev/null >$q/mem
                        done
                done
                kill -9 -1 2>/dev/null; :'
        held
        kill -0 "$started"
}

@test "subhurd: what lies below /run and /dev is an empty one of the environment's" {
        booted
        echo secret >"$PLACE/secret"
        attack "$PADDOCK" enter barn -- sh -c 'umount -l /run; umount -l /dev
                find /run -type s; find /run -type f -size +0; ls -A /run | grep -vE "^(lock|user|utmp|paddock)\$"
                find / -name secret'
        held
}

@test "subhurd: set-up calls of the kernel mean the system alone, or nothing" {
        booted
        attack "$PADDOCK" enter barn -- sh -c 'hostname stolen; echo 1 >/proc/sys/kernel/sysrq && echo sysrq
                echo b >/proc/sysrq-trigger && echo trigger
                mount -t tmpfs x /tmp && mount -o remount,rw / && echo "remounted /"
                echo core >/proc/sys/kernel/core_pattern && echo core
                mount --bind /proc/1/root /tmp; ls /tmp/home 2>/dev/null'
        not grep -E 'sysrq|trigger|core' <<<"$output"
        [ "$(hostname)" != stolen ]
}

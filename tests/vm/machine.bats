#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# machine.bats - whether the virtual machine is what `tests/vm/run` promises: Debian 12 as shipped, with its own kernel,
# systemd, logind and delegated cgroups. Runs before all other tests there; when one of these fails, the others say
# nothing about Debian 12.

@test "machine: Debian 12 with a Debian kernel" {
        . /etc/os-release
        [ "$ID $VERSION_ID" = "debian 12" ]
        [[ $(uname -r) == 6.1.0-*-amd64 ]]
        [[ $(uname -v) == *Debian* ]]
}

@test "machine: systemd runs and no unit has failed" {
        [ "$(cat /proc/1/comm)" = systemd ]
        [ "$(systemctl is-system-running --wait)" = running ]
}

@test "machine: cgroup v2 only" {
        [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]
        ! grep -q ' cgroup ' <(sed 's/.* - / /' /proc/self/mountinfo)
}

@test "machine: this is a login session, known to logind" {
        [ -n "$XDG_SESSION_ID" ]
        loginctl show-session "$XDG_SESSION_ID" -p Name --value | grep -qx "$(id -un)"
        [ "$XDG_RUNTIME_DIR" = "/run/user/$(id -u)" ]
        [ "$(stat -c %u "$XDG_RUNTIME_DIR")" = "$(id -u)" ]
        grep -q "/user-$(id -u).slice/session-" /proc/self/cgroup
}

@test "machine: the user's manager runs, and has cpu, memory and pids delegated" {
        systemctl --user is-system-running --wait | grep -qx running
        uid=$(id -u)
        controllers=" $(cat "/sys/fs/cgroup/user.slice/user-$uid.slice/user@$uid.service/cgroup.controllers") "
        for controller in cpu memory pids; do
                [[ $controllers == *" $controller "* ]]
        done
}

@test "machine: the user can make a scope of its own on the user bus" {
        [ -S "$XDG_RUNTIME_DIR/bus" ]
        systemd-run --user --scope --quiet true
}

@test "machine: everybody may open /dev/fuse" {
        [ "$(stat -c %a /dev/fuse)" = 666 ]
        : <>/dev/fuse
}

@test "machine: everybody may open /dev/net/tun" {
        [ "$(stat -c %a /dev/net/tun)" = 666 ]
}

@test "machine: user namespaces work, alone and with the ids of /etc/subuid" {
        unshare --user --map-root-user --mount --pid --fork --mount-proc true
        if [ "$(id -u)" != 0 ]; then
                unshare --user --map-auto --map-root-user true
        fi
}

@test "machine: Landlock and AppArmor are on, as Debian has them" {
        modules=,$(cat /sys/kernel/security/lsm),
        [[ $modules == *,landlock,* ]]
        [[ $modules == *,apparmor,* ]]
}

@test "machine: the programs under test start (their libraries are here)" {
        [ -x "$PADDOCK" ]
        "$PADDOCK" --version
}

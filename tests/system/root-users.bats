#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Users as root inside makes them: accounts, passwords, su, sudo, set-uid programs, cron.

load root

setup_file() { root_prepare cron sudo; }
teardown_file() { root_end; }

@test "users: adduser, useradd, groupadd, usermod, userdel; outside there is none of them" {
        run as_root 'adduser --disabled-password --gecos x wolf >/dev/null
                useradd -m fox; groupadd pack; usermod -aG pack wolf; useradd -r -s /usr/sbin/nologin badger
                id wolf | grep -q pack; stat -c %U:%G /home/wolf /home/fox; grep -q "^badger:" /etc/shadow
                userdel -r fox 2>/dev/null; ! id fox 2>/dev/null; [ ! -e /home/fox ]
                # those of the main system are still there
                getent shadow root daemon www-data | cut -d: -f1,2'
        expect_status 0
        expect "wolf:wolf
fox:fox
root:*
daemon:*
www-data:*"
        not getent passwd wolf
        [ ! -e /home/wolf ]
}

@test "users: chpasswd changes the shadow inside alone, and the password holds" {
        before=$(stat -c '%y %s %i' /etc/shadow)
        as_root 'id bear >/dev/null 2>&1 || useradd -m -s /bin/bash bear; echo bear:honey | chpasswd'
        run as_root 'getent shadow bear root | cut -c1-8'
        expect_match $'^bear:[$]y[$]\nroot:[*]:'
        [ "$(stat -c '%y %s %i' /etc/shadow)" = "$before" ]
        # su asks whoever is not root
        run $PTY 'expect assword:' 'send wrong\n' -- "$PADDOCK" run -n lab -- su nobody -s /bin/sh -c 'su bear -c id'
        expect_match 'Authentication failure'
        run $PTY 'expect assword:' 'send honey\n' -- "$PADDOCK" run -n lab -- su nobody -s /bin/sh -c 'su bear -c id'
        expect_match 'uid=[0-9]+\(bear\)'
}

@test "users: passwd asks in a terminal" {
        as_root 'id otter >/dev/null 2>&1 || useradd -m otter'
        run $PTY 'expect New password:' 'send river-9-bed\n' 'expect Retype' 'send river-9-bed\n' -- "$PADDOCK" run -n lab -- passwd otter
        expect_match 'updated successfully'
        run as_root 'getent shadow otter | cut -d: -f2 | cut -c1-3'
        expect '$y$'
}

@test "users: su to a package's user, to oneself and to one with a login shell; job control in it" {
        run as_root 'su www-data -s /bin/sh -c "id -un; id -G"; su "$1" -s /bin/sh -c "id -u"' "$(id -un)"
        expect "www-data
$(id -G www-data)
$(id -u)"
        as_root 'id bear >/dev/null 2>&1 || useradd -m -s /bin/bash bear'
        run $PTY 'expect [$] ' 'send sleep 50\n' 'sleep 0.4' 'send \x1a' 'expect Stopped' 'send kill %1; pwd; id -un; exit\n' \
                -- "$PADDOCK" run -n lab -- su - bear
        expect_match '/home/bear'
        expect_match $'\nbear'
}

@test "users: sudo gives root back, and another user, and says no to the rest" {
        run as_root 'id lynx >/dev/null 2>&1 || useradd -m lynx
                echo "lynx ALL=(ALL) NOPASSWD: /usr/bin/id" >/etc/sudoers.d/lynx; chmod 440 /etc/sudoers.d/lynx
                su lynx -s /bin/sh -c "sudo -n id -u; sudo -n -u www-data id -un; sudo -n true 2>/dev/null || echo no"'
        expect "0
www-data
no"
}

@test "users: a set-uid program of one's own runs as its owner, and a set-gid one" {
        run as_root 'cp /usr/bin/id /usr/local/bin/id-of; chown 33:34 /usr/local/bin/id-of; chmod 6755 /usr/local/bin/id-of
                su nobody -s /bin/sh -c "/usr/local/bin/id-of" | grep -o "euid=33([a-z-]*) egid=34"; stat -c %a /usr/bin/passwd'
        expect "euid=33(www-data) egid=34
$(stat -c %a /usr/bin/passwd)"
}

@test "users: cron runs a job as another user" {
        run as_root 'id hare >/dev/null 2>&1 || useradd -m hare
                echo "@reboot id >/home/hare/out; touch /home/hare/done" | crontab -u hare -
                [ "$(crontab -u hare -l | wc -l)" = 1 ]; stat -c %U /var/spool/cron/crontabs/hare
                rm -f /run/crond.reboot; /etc/init.d/cron start >/dev/null
                for i in $(seq 100); do [ ! -e /home/hare/done ] || break; sleep 0.1; done
                cat /home/hare/out; stat -c %U /home/hare/out; /etc/init.d/cron stop >/dev/null'
        expect_status 0
        expect_match $'^hare\nuid=[0-9]+\\(hare\\) gid=[0-9]+\\(hare\\) groups=[0-9]+\\(hare\\)\nhare$'
}

@test "users: chown -R of a large tree, and its owner then writes in it" {
        run as_root 'chown -R www-data:www-data /usr/share/zoneinfo; find /usr/share/zoneinfo ! -user www-data | wc -l
                su www-data -s /bin/sh -c "echo x >/usr/share/zoneinfo/Europe/new && cat /usr/share/zoneinfo/Europe/new"'
        expect "0
x"
        [ "$(stat -c %u /usr/share/zoneinfo/Europe)" = 0 ]
}

@test "users: what cannot be read outside is empty inside, is named, and can be locked and replaced" {
        echo secret >"$SPOT/closed"
        chmod 000 "$SPOT/closed"
        run as_root '[ -e "$1" ] && [ ! -s "$1" ]; flock -n "$1" true; flock -n /etc/shadow true; ls -A /root
                echo mine >"$1"; cat "$1"; mv "$1" "$1.old"; echo again >"$1"; cat "$1"' "$SPOT/closed"
        expect_status 0
        expect_match $'mine\nagain$'
        run paddock show --unreadable lab
        expect_status 0
        [[ $'\n'$output$'\n' == *$'\n'/etc/shadow$'\n'* ]]
        [[ $'\n'$output$'\n' == *$'\n'$SPOT/closed$'\n'* ]]
}

# without WHAT OPTION... - paddock run --as root OPTION..., where WHAT is an empty file.
without()
{
        # shellcheck disable=SC2016
        unshare --user --map-current-user --mount --keep-caps sh -c 'mount --bind /dev/null "$1"; shift
                exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"' - "$1" "$PADDOCK" run --as root "${@:2}"
}

@test "users: without subordinate ids it says what to do, and packages with root's files alone can be installed" {
        run without /etc/subuid -- sh -ec 'mkdir -p p/DEBIAN p/opt; echo x >p/opt/x
                printf "Package: one\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n" >p/DEBIAN/control
                dpkg-deb -b p one.deb >/dev/null; dpkg -i one.deb >/dev/null; cat /opt/x; su nobody -s /bin/sh -c true'
        [ "$status" != 0 ]
        expect_match 'root is the only user inside: /etc/subuid gives .* no ids: `paddock doctor` tells'
        expect_match $'\nx\n'
        expect_match 'su: cannot set groups'
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# root.bats - `paddock run --as root`: root in a private copy of the running system.
#
# As an ordinary user this is the mirror, with subordinate ids; as root, idmapped mounts. What holds for both is tested for
# both. Where /dev/fuse or subordinate ids are missing, the tests that need them say so.

load common

# What an ordinary user needs for all ids.
needs_ids()
{
        is_root && return
        [ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "needs /dev/fuse"
        command -v newuidmap >/dev/null || skip "needs newuidmap"
        grep -q "^$(id -un):" /etc/subuid && grep -q "^$(id -un):" /etc/subgid || skip "needs subordinate ids"
}

needs_user()
{
        ! is_root || skip "as root there is no mirror"
        needs_ids
}

as_root() { inside --as root "$@"; }

# without WHAT OPTION... - paddock run --as root OPTION..., where the file WHAT is replaced by one that nobody may open.
without()
{
        local what=$1

        shift
        : >"$PLACE/closed"
        chmod 000 "$PLACE/closed"
        # shellcheck disable=SC2016
        unshare --user --map-current-user --mount --keep-caps sh -c '
                mount --bind "$1" "$2" || exit 99
                shift 2
                exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"' - \
                "$PLACE/closed" "$what" "$PADDOCK" run --as root "$@"
}

server_of()
{
        local child

        for child in $(cat "/proc/$1/task/$1/children"); do
                if [ "$(tr '\0' '\n' <"/proc/$child/cmdline" | sed -n '1s|.*/||p')" = paddock-files-mirror ]; then
                        echo "$child"
                        return
                fi
        done
        return 1
}

@test "root: it is root inside, with its surroundings, and the working directory is kept" {
        needs_ids
        run as_root -- sh -c 'id; echo "$HOME $USER $LOGNAME"; pwd; umask'
        expect_status 0
        expect_output "uid=0(root) gid=0(root) groups=0(root)
/root root root
$HOME
0022"
        PATH=/usr/bin:/bin run as_root -- sh -c 'echo $PATH'
        expect_output /usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin
        mkdir -m 700 "$PLACE/mine"
        TMPDIR=$PLACE/mine run as_root -- sh -c 'echo "[$TMPDIR]"'
        expect_output "[]"
}

@test "root: all ids are there, and each is of its own outside" {
        needs_ids
        run as_root -- sh -c 'awk "{n += \$3} END {print n}" /proc/self/uid_map /proc/self/gid_map'
        [ "$output" -ge 65536 ] && [ "$output" -le 131072 ]
        as_root -- sh -c 'touch /etc/a && chown 4711:815 /etc/a && [ "$(stat -c %u:%g /etc/a)" = 4711:815 ]'
        as_root -- sh -c 'setpriv --reuid 33 --regid 34 --groups 35,36 sh -c "[ \"\$(id -u) \$(id -G)\" = \"33 34 35 36\" ]"'
}

@test "root: owners and modes are those of outside" {
        needs_user
        touch "$OUT/mine"
        chmod 640 "$OUT/mine"
        for file in "$OUT/mine" /etc/passwd /usr/bin/su /tmp /var/mail; do
                [ -e "$file" ] || continue
                run as_root -- stat -c '%u %g %a %F' "$file"
                expect_output "$(stat -c '%u %g %a %F' "$file")"
        done
}

@test "root: everything can be changed, and nothing changes outside" {
        needs_ids
        as_root -- sh -ec '
                echo x >/etc/paddock-test; rm /etc/passwd; chmod 0 /etc/hosts; mkdir /paddock-test
                echo y >>/etc/os-release; mv /usr/bin/env /usr/bin/env2; ln -s /x /usr/lib/paddock-test; chown 1:1 /etc/shells
                [ "$(cat /etc/paddock-test)" = x ]; [ ! -e /etc/passwd ]'
        [ ! -e /etc/paddock-test ] && [ -e /etc/passwd ] && [ ! -e /paddock-test ] && [ -e /usr/bin/env ]
        [ "$(stat -c %u /etc/shells)" = 0 ]
        not grep -qx y /etc/os-release
        no_temporary
}

@test "root: users and groups are added, and become them" {
        needs_ids
        run as_root -- sh -ec '
                groupadd -g 2345 herders
                useradd -m -G herders -s /bin/sh bob
                echo bob:secret | chpasswd
                su bob -c "id -un; id -Gn; cd; pwd; echo x >f; stat -c %U f"
                getent shadow bob | cut -c1-5
                userdel -r bob 2>/dev/null; [ ! -e /home/bob ]'
        expect_status 0
        expect_output "bob
bob herders
/home/bob
bob
bob:\$"
        not grep -q ^bob: /etc/passwd
}

@test "root: set-uid programs work, those of the system and new ones, and gain nothing outside" {
        needs_ids
        run as_root -- su nobody -s /bin/sh -c 'passwd -S'
        expect_status 0
        expect_match '^nobody '
        run as_root -- sh -ec 'cp /usr/bin/id /usr/bin/my-id; chmod 4755 /usr/bin/my-id; su nobody -s /bin/sh -c "my-id -un"'
        expect_output root
        is_root || { # the files of the layer are mine, so its directory is closed to others
                "$PADDOCK" run -n s --as root -- cp -p /usr/bin/id /bin/my-id
                [ "$(stat -c %a "$XDG_STATE_HOME/paddock")" = 700 ]
        }
}

@test "root: names cannot be escaped: no device, no id of outside, no mount undone" {
        needs_ids
        run as_root -- mknod /x b 8 0
        [ "$status" != 0 ]
        run as_root -- sh -c 'chown 70000 /etc/hosts'
        [ "$status" != 0 ]
        run as_root -- umount /proc
        [ "$status" != 0 ]
        run as_root -- mount -o remount,rw /sys
        [ "$status" != 0 ]
}

@test "root: files, links, modes, locks, maps and renames behave" {
        needs_ids
        as_root -- sh -ec '
                cd /usr/share
                d=$(find . -maxdepth 1 -type d -name "[a-z]*" | sort | head -1)
                mv "$d" renamed; [ -d renamed ]; [ ! -e "$d" ]
                ln /etc/hosts /etc/hosts2; [ "$(stat -c %h /etc/hosts2)" = 2 ]
                mkfifo /etc/p; echo through >/etc/p & [ "$(cat /etc/p)" = through ]
                flock -n /etc/hostname flock -n /etc/hostname true && exit 1
                flock /etc/hostname true; true'
        as_root -- python3 -c '
import os, mmap, fcntl
w = open("/etc/login.defs", "r+b"); m = mmap.mmap(w.fileno(), 0); m[0:1] = b"%"; m.flush()
assert open("/etc/login.defs", "rb").read(1) == b"%"
fcntl.lockf(w, fcntl.LOCK_EX)
os.rename("/etc/passwd", "/etc/passwd2"); assert not os.path.exists("/etc/passwd")
os.setxattr("/etc/group", "user.x", b"y"); assert os.getxattr("/etc/group", "user.x") == b"y"
'
}

@test "root: a file without a name is made where doctor says so, and refused where it says that" {
        needs_ids
        run as_root -- python3 -c '
import os
f = os.open("/etc", os.O_TMPFILE | os.O_RDWR)
os.write(f, b"abc"); os.link("/proc/self/fd/%d" % f, "/etc/named", src_dir_fd=f)
print(open("/etc/named").read())
'
        if "$PADDOCK" doctor | grep -q '^ok *unnamed files'; then
                expect_output abc
        else
                expect_match 'Operation not supported'
                "$PADDOCK" doctor | grep '^weak *unnamed files .*cannot make an unnamed file in an overlay'
        fi
}

@test "root: what changes outside is seen inside: names, types and content, and what is listed can be opened" {
        needs_user
        mkdir "$OUT/d" "$OUT/d/turns" "$PLACE/talk"
        echo one >"$OUT/d/written"
        echo one >"$OUT/d/replaced"
        echo one >"$OUT/d/removed"
        # Everything is looked at first, so that all of it is known inside, also what is not there.
        # shellcheck disable=SC2016
        start inside --as root --share "$PLACE/talk" -- sh -c '
                cd "$1"
                cat written replaced removed >/dev/null; ls -l . turns >/dev/null; [ ! -e made ]; [ ! -e below/made ]
                echo >"$2/ready"
                seen() { # seen WHAT COMMAND...
                        what=$1 left=100
                        shift
                        until "$@" 2>/dev/null; do
                                left=$((left - 1))
                                [ $left -gt 0 ] || { echo "not seen: $what"; ls -l >&2; return; }
                                sleep 0.1
                        done
                        echo "seen: $what"
                }
                is() { [ "$(cat "$1")" = "$2" ]; }
                seen written is written two
                seen replaced is replaced two
                seen removed [ ! -e removed ]
                seen made is made two
                seen below is below/made two
                seen turned is turns two
                for name in *; do
                        [ -d "$name" ] || cat "$name" >/dev/null || echo "listed, but not opened: $name"
                done' - "$OUT/d" "$PLACE/talk" >"$PLACE/output"
        eventually test -e "$PLACE/talk/ready"
        echo two >"$OUT/d/written"
        echo two >"$OUT/d/new"
        mv "$OUT/d/new" "$OUT/d/replaced"
        rm "$OUT/d/removed"
        echo two >"$OUT/d/made"
        mkdir "$OUT/d/below"
        echo two >"$OUT/d/below/made"
        rmdir "$OUT/d/turns"
        echo two >"$OUT/d/turns"
        ends_with 0
        run cat "$PLACE/output"
        expect_output "seen: written
seen: replaced
seen: removed
seen: made
seen: below
seen: turned"
}

@test "root: a directory can be watched" {
        needs_ids
        as_root -- python3 -c '
import ctypes, os
c = ctypes.CDLL(None); f = c.inotify_init()
assert c.inotify_add_watch(f, b"/etc", 0x100) >= 0
open("/etc/watched", "w").close()
assert b"watched" in os.read(f, 4096)
'
}

@test "root: file capabilities and access control lists are kept" {
        needs_ids
        command -v setcap >/dev/null || skip "needs setcap"
        run as_root -- sh -ec 'cp /bin/cat /opt/c; setcap cap_net_raw+ep /opt/c; getcap /opt/c'
        expect_output "/opt/c cap_net_raw=ep"
        run as_root -- sh -ec 'cp /bin/cat /opt/c; setcap cap_chown+ep /opt/c; chmod 755 /opt/c
                su nobody -s /bin/sh -c "/opt/c /proc/self/status" | sed -n "s/^CapEff:[[:space:]]*//p"'
        expect_output 0000000000000001
        command -v setfacl >/dev/null || skip "needs setfacl"
        run as_root -- sh -ec 'touch /etc/a; setfacl -m u:33:rw /etc/a; getfacl -pcn /etc/a | grep :33:'
        expect_output user:33:rw-
}

# A package whose scripts do what scripts of packages do.
make_package()
{
        mkdir -p "$PLACE/deb/DEBIAN" "$PLACE/deb/usr/lib/paddock-probe" "$PLACE/deb/etc"
        printf '%s\n' 'Package: paddock-probe' 'Version: 1.0' 'Architecture: all' 'Maintainer: Nobody <nobody@localhost>' \
                'Description: a probe' >"$PLACE/deb/DEBIAN/control"
        # shellcheck disable=SC2016
        printf '%s\n' '#!/bin/sh' 'set -e' 'addgroup --quiet --system probes' \
                'adduser --quiet --system --home /var/lib/probe --ingroup probes probe' \
                'chown probe:probes /usr/lib/paddock-probe/data' 'chmod 2750 /usr/lib/paddock-probe' \
                >"$PLACE/deb/DEBIAN/postinst"
        echo "for no one" >"$PLACE/deb/usr/lib/paddock-probe/data"
        echo /etc/paddock-probe.conf >"$PLACE/deb/DEBIAN/conffiles"
        echo "setting" >"$PLACE/deb/etc/paddock-probe.conf"
        chmod 755 "$PLACE" "$PLACE/deb" "$PLACE/deb/DEBIAN/postinst"
        dpkg-deb --root-owner-group --build "$PLACE/deb" "$OUT/paddock-probe_1.0_all.deb" >/dev/null
}

@test "root: a package is installed, configured, purged, and outside does not know it" {
        needs_ids
        command -v dpkg-deb >/dev/null || skip "needs dpkg"
        make_package
        run as_root -- sh -ec '
                export DEBIAN_FRONTEND=noninteractive
                dpkg -i "$1"
                dpkg-query -W -f "\${Status}\n" paddock-probe
                stat -c "%U:%G %a" /usr/lib/paddock-probe/data /usr/lib/paddock-probe
                dpkg -P paddock-probe; [ ! -e /usr/lib/paddock-probe ]' - "$OUT/paddock-probe_1.0_all.deb"
        expect_status 0
        expect_match 'install ok installed'
        expect_match 'probe:probes 644'
        expect_match 'root:root 2750'
        not dpkg-query -W paddock-probe
        no_temporary
}

@test "root: apt installs from an archive, as its own user for downloads" {
        needs_ids
        command -v apt-get >/dev/null || skip "needs apt"
        make_package
        (
                cd "$OUT"
                cat "$PLACE/deb/DEBIAN/control"
                printf 'Filename: ./paddock-probe_1.0_all.deb\nSize: %s\nSHA256: %s\n' \
                        "$(stat -c %s paddock-probe_1.0_all.deb)" "$(sha256sum paddock-probe_1.0_all.deb | cut -d' ' -f1)"
        ) >"$PLACE/Packages"
        mv "$PLACE/Packages" "$OUT/Packages"
        run as_root -- sh -ec '
                export DEBIAN_FRONTEND=noninteractive
                echo "deb [trusted=yes] copy:$1 ./" >/etc/apt/sources.list
                rm -rf /etc/apt/sources.list.d
                apt-get update && apt-get install -y paddock-probe
                stat -c %U /usr/lib/paddock-probe/data' - "$OUT"
        expect_status 0
        expect_match 'Setting up paddock-probe'
        expect_match $'\nprobe$'
        [[ $output != *unsandboxed* ]]
}

@test "root: how the program ends is how paddock ends" {
        needs_ids
        run as_root -- sh -c 'exit 7'
        expect_status 7
        run as_root -- sh -c 'kill -TERM $$'
        expect_status 143
        run -127 as_root -- /nowhere
        run as_root -- /etc/passwd
        expect_status 126
        [ "$(echo through | as_root -- cat)" = through ]
}

@test "root: hidden is hidden, by every way" {
        needs_user
        mkdir -p "$OUT/d/e"
        echo secret >"$OUT/d/e/f"
        run as_root --hide "$OUT/d" -- sh -c 'cat "$1/d/e/f" "/proc/self/root$1/d/e/f" "/proc/1/root$1/d/e/f"; ls "$1"' - "$OUT"
        [[ $output != *secret* ]]
        run as_root --hide "$OUT/d" -- sh -c 'mkdir "$1/d" && ls -A "$1/d"' - "$OUT"
        expect_status 0
        expect_output ""
        run as_root --hide "$OUT/d/e/f" -- ls -A "$OUT/d/e"
        expect_output ""
        # ... but not where another rule shows it
        run as_root --hide "$OUT/d" --from "/opt/d=$OUT/d" -- cat /opt/d/e/f
        expect_output secret
        run as_root --hide "$OUT/d" --private "$OUT/d/e" -- sh -c 'ls -A "$1"; cat "$1/e/f"' - "$OUT/d"
        expect_output "e
secret"
}

@test "root: empty is empty, and a mirror is read-only" {
        needs_ids
        mkdir "$OUT/d"
        echo kept >"$OUT/d/f"
        run as_root --empty "$OUT/d" -- sh -c 'ls -A "$1"; echo own >"$1/f"; cat "$1/f"' - "$OUT/d"
        expect_output own
        [ "$(cat "$OUT/d/f")" = kept ]
        run as_root --mirror "$OUT" -- sh -c 'cat "$1/d/f"; echo x >"$1/d/f"' - "$OUT"
        expect_match '^kept'
        expect_match 'Read-only file system'
        run as_root --mirror / -- sh -c 'cat "$1/d/f"; echo x >"$1/d/f"' - "$OUT"
        expect_match '^kept'
        expect_match 'Read-only file system'
}

@test "root: what cannot be read is there, empty, and is listed; shadow has locked entries" {
        needs_user
        [ ! -r /etc/shadow ] || skip "can read /etc/shadow"
        echo secret >"$OUT/closed"
        chmod 000 "$OUT/closed" # its owner may not read it either
        inside -n lab --as root -- sh -ec '[ ! -s "$1" ]; [ -e "$1" ]; cat "$1"; echo own >>"$1"; [ "$(cat "$1")" = own ]
                grep -q "^root:[*!]" /etc/shadow' - "$OUT/closed"
        run "$PADDOCK" show --unreadable lab
        expect_status 0
        [[ $'\n'$output$'\n' == *$'\n'$OUT/closed$'\n'* ]]
        [ "$(printf '%s\n' "$output" | sort -u | wc -l)" = "$(printf '%s\n' "$output" | wc -l)" ]
        "$PADDOCK" rm lab # its files belong to ids that only it can remove
}

@test "root: what is shared is written through, by its owner outside" {
        needs_ids
        mkdir "$OUT/d"
        echo old >"$OUT/d/f"
        as_root --share "$OUT/d" -- sh -c 'echo new >>"$1/f"; echo fresh >"$1/g"' - "$OUT/d"
        [ "$(cat "$OUT/d/f")" = "old
new" ]
        [ "$(stat -c %u "$OUT/d/g")" = "$(id -u)" ]
}

@test "root: a socket where nobody inside gets, in a file system whose ids cannot be mapped, is no obstacle" {
        is_root || skip "needs root"
        # shellcheck disable=SC2016
        run unshare --mount --propagation private sh -ec '
                mount -t ramfs none "$1"
                mkdir -m 700 "$1/closed"
                mkdir "$1/open"
                python3 -c "
import socket, sys, time
listening = [socket.socket(socket.AF_UNIX) for _ in sys.argv[1:]]
for s, name in zip(listening, sys.argv[1:]):
    s.bind(name)
    s.listen()
time.sleep(60)" "$1/closed/s" "$1/open/s" 3>&- &
                trap "kill $!" EXIT
                until [ -S "$1/open/s" ]; do sleep 0.1; done
                for identity in self root; do
                        "$PADDOCK" run --as $identity --mirror / -- python3 -c "
import socket, sys
for name in sys.argv[1:]:
    try:
        socket.socket(socket.AF_UNIX).connect(name)
        print(\"reached\", name)
    except OSError as e:
        print(type(e).__name__)" "$1/closed/s" "$1/open/s"
                done' - "$OUT"
        expect_status 0
        expect_output "PermissionError
ConnectionRefusedError
PermissionError
ConnectionRefusedError"
}

@test "root: united and from elsewhere" {
        needs_ids
        mkdir "$OUT/a" "$OUT/b"
        echo a >"$OUT/a/x"
        echo b >"$OUT/b/x"
        echo c >"$OUT/b/y"
        run as_root --union "/opt/u=$OUT/a:$OUT/b" --from "/etc/hosts=$OUT/b/y" -- sh -c 'cat /opt/u/x /opt/u/y /etc/hosts; rm /opt/u/x'
        expect_output "a
c
c"
        [ -e "$OUT/a/x" ]
}

@test "root: paddock's state is not there, under any name" {
        needs_ids
        "$PADDOCK" run -n other -- true
        run as_root --from "/opt/p=$PLACE" -- sh -c 'ls -A "$1/paddock" /opt/p/state/paddock' - "$XDG_STATE_HOME"
        [[ $output != *other* ]] && [[ $output != *env* ]]
}

@test "root: what is there inside: processes, devices, /run, /sys" {
        needs_ids
        as_root -- sh -ec '
                [ "$(ps -e -o pid= | wc -l)" -lt 8 ]; echo x >/dev/null; head -c1 /dev/urandom >/dev/null
                [ -L /dev/fd ]; [ -d /run/lock ]; [ -f /run/utmp ]; touch /run/x /run/lock/y /dev/shm/z; [ -d /sys/kernel ]
                ! echo 1 2>/dev/null >/sys/kernel/uevent_seqnum'
}

@test "root: one of its own tree" {
        needs_ids
        mkdir -p "$PLACE/tree/bin"
        cp "$(command -v busybox)" "$PLACE/tree/bin/busybox" # static: package busybox-static
        run as_root --root "$PLACE/tree" -- /bin/busybox sh -c 'id -u; /bin/busybox touch /x; /bin/busybox chown 5:6 /x; /bin/busybox stat -c %u:%g /x'
        expect_match $'5:6$'
        [ ! -e "$PLACE/tree/x" ]
}

@test "root: a named one keeps what it did and who it is, and rm removes it whole" {
        needs_ids
        inside -n lab --as root -- sh -c 'mkdir -p /srv/q/a; echo x >/srv/q/a/b; chown -R 33:34 /srv/q; chmod 700 /srv/q/a'
        run inside -n lab -- sh -c 'cat /srv/q/a/b; stat -c %u:%g /srv/q/a/b'
        expect_output "x
33:34"
        run "$PADDOCK" show lab
        expect_match 'identity: root'
        is_root || {
                run inside -n lab --as self -- true
                expect_status 125
                expect_match 'has the identity root'
        }
        "$PADDOCK" rm lab
        no_temporary
        not exists "$XDG_STATE_HOME/paddock/env/lab"
}

@test "root: made by create, from an option and from a description" {
        needs_ids
        "$PADDOCK" create --as root a
        printf 'identity: root\n' | "$PADDOCK" create -f - b
        for name in a b; do
                run inside -n $name -- id -u
                expect_output 0
        done
        printf 'identity: root\n' >"$PLACE/d.yaml"
        run inside -f "$PLACE/d.yaml" -- id -u
        expect_output 0
        is_root || {
                run inside -f "$PLACE/d.yaml" --as self -- id -u
                expect_output "$(id -u)"
        }
        run "$PADDOCK" create --as wolf c
        expect_status 125
        expect_match "'self' or 'root'"
}

@test "root: two runs of one name, whichever ends first" {
        needs_ids
        mkfifo "$PLACE/go"
        start inside -n lab --as root -- sh -c 'echo one >/etc/one; echo >"$1"; sleep 1' - "$PLACE/go" --share "$PLACE/go"
        sleep 0.5
        run inside -n lab -- sh -c 'cat /etc/one; id -u; su nobody -s /bin/sh -c "id -un"; sleep 2; cat /etc/one /etc/hostname; find /usr/share/doc | wc -l'
        expect_status 0
        expect_match $'^one\n0\nnobody\none\n'
        start inside -n lab -- sleep 3
        sleep 0.5
        inside -n lab -- true
        inside -n lab -- true
        ends_with 0
}

@test "root: the server killed ends the environment and says so; its layer stays and the next start is clean" {
        needs_user
        start inside -n lab --as root -- sh -c 'echo x >/etc/kept; sync /etc/kept; sleep 60' 2>"$PLACE/message"
        eventually server_of "$started" >/dev/null
        sleep 0.5
        kill -KILL "$(server_of "$started")"
        ends_with 125
        grep -q 'server that shows the main system' "$PLACE/message"
        run inside -n lab -- cat /etc/kept
        expect_output x
        # under load, and temporary
        start inside --as root -- sh -c 'while :; do cat /usr/bin/* /etc/* >/dev/null 2>&1; done' 2>"$PLACE/message"
        sleep 0.7
        kill -KILL "$(server_of "$started")"
        ends_with 125
        nothing_left
}

@test "root: the server killed: no program sees a file fail before it ends" {
        needs_user
        for _ in 1 2 3; do
                start inside -n lab --as root -- sh -c 'while :; do cat /usr/share/doc/*/copyright /usr/bin/* >/dev/null
                        find /usr -newer /etc/passwd -name nothing; done' 2>"$PLACE/message"
                eventually server_of "$started" >/dev/null
                sleep 0.7
                # a second run, which has the view of the first
                "$PADDOCK" run -n lab -- find /usr -newer /etc/passwd -name nothing 2>"$PLACE/second" &
                children+=("$!")
                sleep 0.3
                kill -KILL "$(server_of "$started")"
                ends_with 125
                wait "${children[-1]}" || true
                not grep -E 'cat:.*(endpoint|abort|Input/output)|find:.*(endpoint|abort|Input/output)' "$PLACE/message" "$PLACE/second"
                grep -q 'server that shows the main system' "$PLACE/message"
        done
        inside -n lab -- true
}

@test "root: init killed, paddock killed: nothing is left" {
        needs_user
        local server

        start inside --as root -- sh -c 'mkdir /srv/z; touch /srv/z/f; chown -R 33 /srv/z; chmod 700 /srv/z; sleep 60'
        sleep 0.7
        server=$(server_of "$started")
        kill -KILL "$(init_of "$started")"
        ends_with 137
        nothing_left "$server"
        start inside --as root -- sh -c 'mkdir /srv/z; touch /srv/z/f; chown -R 33 /srv/z; chmod 700 /srv/z; sleep 60'
        sleep 0.7
        server=$(server_of "$started")
        kill -KILL "$started"
        nothing_left "$server"
}

@test "root: the server holds none of the program's descriptors" {
        needs_user
        local reader

        # The reader sees the end as soon as the program closes its output, not when the environment ends.
        mkfifo "$PLACE/pipe"
        cat "$PLACE/pipe" >"$PLACE/read" 3>&- 4>&- &
        reader=$!
        children+=("$reader")
        start inside --as root -- sh -c 'echo x; exec >/dev/null; sleep 60' >"$PLACE/pipe"
        eventually ended "$reader"
        [ "$(cat "$PLACE/read")" = x ]
        kill -TERM "$started"
        ends_with 143
        eventually no_temporary
}

@test "root: with one id alone it says what cannot work, and the rest works" {
        needs_user
        run without /etc/subuid --explain
        [ "$status" != 99 ] || skip "cannot mount here"
        expect_status 0
        expect_match 'one id: 0 is you'
        expect_match 'note: root is the only user inside'
        run without /etc/subuid -- sh -ec 'id -u; echo x >/etc/new; rm /etc/passwd; stat -c %u /etc/hosts /etc/new; mv /usr/bin/env /usr/bin/e2'
        expect_status 0
        expect_match $'0\n0\n0$'
        run without /etc/subuid -- chown 33 /etc/hosts
        [ "$status" != 0 ]
        no_temporary
}

@test "root: without /dev/fuse it does not start, and says what to do" {
        needs_user
        run without /dev/fuse -- true
        [ "$status" != 99 ] || skip "cannot mount here"
        expect_status 125
        expect_match 'cannot open /dev/fuse'
        expect_match 'chmod 666 /dev/fuse'
        no_temporary
}

@test "root: an environment inside, as root and as oneself" {
        needs_ids
        cd /
        run as_root -- "$PADDOCK" run -- sh -c 'id -u; echo x >"$HOME/f"; cat "$HOME/f"'
        expect_status 0
        expect_output "0
x"
        is_root && return
        run as_root -- "$PADDOCK" run --as root -- sh -ec 'id -u; echo x >/etc/x; chown 33 /etc/x; stat -c %u /etc/x; su nobody -s /bin/sh -c "id -un"'
        expect_status 0
        expect_output "0
33
nobody"
}

@test "root: --explain and its JSON name the mirror" {
        needs_user
        run as_root --hide "$OUT" --explain
        expect_match 'note: what you cannot read outside is shown without content'
        expect_match 'note: ACLs, file capabilities and user attributes of the main system are not shown'
        expect_match 'identity +root'
        expect_match 'main system, served'
        expect_match "-$OUT"
        run as_root --explain --json
        expect_match '"identity": "root"'
        expect_match '"kind": "mirror"'
}

# seen_inside SCRIPT - it prints inside, where nothing is known yet, what it prints outside.
seen_inside()
{
        (cd "$OUT/t" && sh -c "$1" | sort) >"$PLACE/outside"
        as_root -- sh -c "cd '$OUT/t' && { $1; } | sort" >"$PLACE/inside"
        diff "$PLACE/outside" "$PLACE/inside"
}

@test "root: what is looked at ahead of a walk is what is there" {
        needs_ids
        local i n=60

        [ -z "${PADDOCK_VM:-}" ] || n=15 # emulation is slow

        mkdir "$OUT/t"
        for i in $(seq $n); do
                mkdir -p "$OUT/t/d$i/deep/er"
                (cd "$OUT/t/d$i" && touch $(seq 40) deep/$(seq -s' deep/' 9) deep/er/x)
                echo "text $i" >"$OUT/t/d$i/text"
        done
        chmod 000 "$OUT/t/d13/deep"
        chmod 755 "$OUT/t/d13/deep"
        ln -s d1 "$OUT/t/link"
        # shellcheck disable=SC2016
        for how in 'find . -printf "%p %y %s %T@ %m %n\n"' 'ls -lR --time-style=+%s | grep -v ^total' \
                'for i in $(seq '$n'); do for k in $(seq 40); do stat -c "%n %s %Y" d$i/$k; done; done' \
                'seq '$n' | xargs -P 12 -I{} sh -c "cd d{} && stat -c \"{} %n %s\" *"' \
                'cat d*/text; grep -r text . | sort'; do
                seen_inside "$how"
        done
        # while it changes outside, all that stays is seen, and the end is the truth
        # (real root has no mirror: there the kernel's overlay shows what was first seen)
        ! is_root || return 0
        start sh -c 'cd "$1" && while :; do for i in $(seq '$n'); do touch d$i/new; rm -f d$i/new; done; done' - "$OUT/t"
        as_root -- sh -c 'cd "$1" && for i in 1 2 3; do find . -name "[0-9]*" -type f | wc -l; done
                until [ -e over ]; do sleep 0.1; done; sleep 2; find . -name new | wc -l' \
                - "$OUT/t" >"$PLACE/inside" &
        sleep 2
        kill -KILL "$started"
        sleep 0.5 # for the one touch or rm that it had just begun
        rm -f "$OUT"/t/d*/new
        touch "$OUT/t/over"
        wait $!
        diff <(sort -u "$PLACE/inside") <(printf '0\n%s\n' "$((n * 49))")
}

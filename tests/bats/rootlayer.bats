#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# rootlayer.bats - diff, commit --to and discard of an environment in which the user is root: owners as they are inside, files that
# only the environment's ids may read, and a package installed, looked at and exported.

load common
load layers

as_root() { "$PADDOCK" run -n env --as root -- "$@"; }

eval "common_$(declare -f setup)"
setup()
{
        common_setup || return 1
        ! is_root || skip "real root needs no mirror"
        [ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "/dev/fuse cannot be opened"
        command -v newuidmap >/dev/null || skip "newuidmap is not installed"
        grep -q "^$(id -un):" /etc/subuid || skip "no subordinate ids"
        cd "$HOME" || return 1
}

@test "root's layer: owners are the environment's, and what was not given away is no change" {
        echo mine >mine
        as_root sh -ec 'echo x >>/etc/hosts; echo new >/etc/paddock-new; chown 33:42 /etc/paddock-new; mkdir -m 700 /srv/paddock-d
                chown 5 /srv/paddock-d; touch /srv/paddock-d/f; echo in >>mine; chown 33 /etc/hostname; chmod 600 /etc/issue; chmod 644 /etc/issue'
        run "$PADDOCK" diff env
        expect_status 0
        expect_output "M  /etc/hostname  (owner 0 -> 33)
M  /etc/hosts  (content)
A  /etc/paddock-new
A  /srv/paddock-d/
A  /srv/paddock-d/f
M  $HOME/mine  (content)"
        "$PADDOCK" diff --json env >j
        /usr/bin/python3 -c 'import json; j = json.load(open("j")); assert (j[2]["after"]["uid"], j[2]["after"]["gid"]) == (33, 42), j[2]'
        fails 'etc/hosts: inside it belongs to 0:0, which you cannot give it to.*--to FILE.tar' commit env
        "$PADDOCK" discard env /srv/paddock-d /etc/hosts
        run changes
        expect_output "M  /etc/hostname  (owner 0 -> 33)
A  /etc/paddock-new
M  mine  (content)"
        as_root test ! -e /srv/paddock-d
        "$PADDOCK" discard env
        no_changes
        nothing_left
}

# as_me COMMAND - inside, as the user who is outside.
as_me() { as_root su -s /bin/sh "$(id -un)" -c "set -e; cd $HOME; $1"; }

@test "root's layer: what belongs to the user is committed, and the rest refused by name" {
        mkdir -m 700 d && echo base >d/f && echo base >g && echo base >h && echo x >priv && chmod 600 priv && mkdir gone && touch gone/t
        echo acl >acl && setfacl -m u:0:r acl && tick
        as_root sh -ec 'echo in >>d/f; echo in >>priv; rm h; echo of root >rootfile; echo z >>acl; rm -r gone; echo x >>/etc/hosts; chmod 755 d; echo in >g; chown 0:0 g'
        as_me 'echo mine >byme; mkdir dir; echo z >dir/z; ln byme dir/l; ln -s x dir/sl; mkfifo dir/p; setfacl -m u:0:r dir/z'
        run untouched "$HOME" "$PADDOCK" commit env
        expect_status 125
        expect_match '/etc/hosts: inside it belongs to 0:0, which you cannot give it to'
        expect_match '/rootfile: inside it belongs to 0:0'
        expect_match '/g: inside it belongs to 0:0'
        expect_match '/acl: outside it has attributes or an access list, which root inside was not shown'
        expect_match '/dir/z: inside it has an access list or capabilities'
        as_me 'setfacl -b dir/z'
        run "$PADDOCK" commit env d priv h byme dir gone
        expect_status 0
        [ "$(cat d/f priv dir/z)" = "base
in
x
in
z" ]
        [ ! -e h ] && [ ! -e gone ] && [ -p dir/p ] && [ byme -ef dir/l ] && [ "$(readlink dir/sl)" = x ]
        [ -z "$(find . ! -user "$(id -un)")" ] && [ "$(stat -c %a d priv | tr '\n' ' ')" = '755 600 ' ]
        [ "$("$PADDOCK" diff env | sed "s|$HOME/||")" = 'M  /etc/hosts  (content)
M  acl  (content, access list)
M  g  (content, owner '"$(id -u)"' -> 0, group '"$(id -g)"' -> 0)
A  rootfile' ]
        "$PADDOCK" rm env
}

@test "root's layer: what changed outside is refused, and a commit that was cut off comes to its end" {
        for i in 1 2 3 4 5 6; do echo base >f$i; done && tick
        as_root sh -ec 'for i in 1 2 3 4 5 6; do echo in >>f$i; done'
        tick
        echo outside >f2
        fails 'f2: it was changed outside since' commit env "$HOME"
        [ "$(cat f1)" = base ]
        "$PADDOCK" commit env f1
        [ "$(cat f1)" = 'base
in' ]
        "$PADDOCK" commit --force f2 env f2
        strace -o /dev/null true 2>/dev/null || return 0
        strace -f -o /dev/null -e trace=none -e inject=renameat2:signal=KILL:when=3 "$PADDOCK" commit env "$HOME" >/dev/null 2>&1 || true
        sleep 0.2
        run "$PADDOCK" commit env "$HOME"
        expect_status 0
        for i in 1 2 3 4 5 6; do [ "$(cat f$i)" = 'base
in' ]; done
        nothing_of_ours .
        "$PADDOCK" rm env
}

@test "root's layer: a package is installed, reviewed, and exported as a tar with its owners" {
        mkdir -p pkg/DEBIAN pkg/usr/share/paddock-test pkg/var/lib/paddock-test
        printf 'Package: paddock-test\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: test\n' >pkg/DEBIAN/control
        printf '#!/bin/sh\nchown 33:33 /var/lib/paddock-test\nchmod 700 /var/lib/paddock-test\n' >pkg/DEBIAN/postinst
        chmod 755 pkg/DEBIAN/postinst
        echo data >pkg/usr/share/paddock-test/data
        dpkg-deb --root-owner-group -b pkg p.deb >/dev/null
        as_root dpkg -i p.deb >/dev/null
        run "$PADDOCK" diff env
        expect_status 0
        expect_match 'A  /usr/share/paddock-test/data'
        expect_match 'A  /var/lib/paddock-test/'
        expect_match 'M  /var/lib/dpkg/status  \(content\)'
        not grep -q paddock-test /var/lib/dpkg/status
        run "$PADDOCK" commit env /usr /var/lib --to "$OUT/p.tar"
        expect_status 0
        expect_match 'tar --extract'
        tar --numeric-owner -tvf "$OUT/p.tar" >list
        grep -E '^-rw-r--r-- 0/0 .* usr/share/paddock-test/data$' list
        grep -E '^drwx------ 33/33 .* var/lib/paddock-test/$' list
        "$PADDOCK" rm env
        nothing_left
}

@test "root's layer: what is based on a file that the user cannot read is named and left out" {
        ! [ -r /etc/shadow ] || skip '/etc/shadow can be read'
        as_root sh -ec 'echo "new:*:1::::::" >>/etc/shadow; cp -p /etc/shadow /etc/shadow+; mv /etc/shadow+ /etc/gshadow; touch /etc/paddock-new'
        run "$PADDOCK" commit env /etc --to "$OUT/x.tar"
        expect_status 125
        expect_match '/etc/gshadow: it is based on a file that you cannot read'
        expect_match '/etc/shadow: it is based on a file that you cannot read'
        [ "$(tar -tf "$OUT/x.tar")" = etc/paddock-new ]
}

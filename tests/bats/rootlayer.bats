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
        fails 'has owners of its own.*--to FILE.tar' commit env
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

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# A minimal Debian, made inside by an ordinary user and lived in.

load root

setup_file() { root_prepare; }
teardown_file() { root_end; }

@test "debian: mmdebstrap makes one as root inside, and it is a system to change into" {
        release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
        run as_root 'mmdebstrap --quiet --mode=root --variant=minbase "$1" /srv/debian 2>&1 | grep -v "^[WI]:" | grep "^E:" || true
                chroot /srv/debian sh -ec "cat /etc/os-release | sed -n s/^VERSION_CODENAME=//p; dpkg --audit; useradd -m calf
                        su calf -c \"id -un; cd; touch f; stat -c %U f\"; apt-get check -q >/dev/null; dpkg -V passwd"
                stat -c "%a" /srv/debian/usr/bin/passwd; ls /srv/debian/dev | grep -c null' "$release"
        expect_status 0
        expect "$release
calf
calf
4755
1"
}

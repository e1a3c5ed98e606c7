#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# dpkg and apt as root inside, what packages bring along, and what happens when they are disturbed.

load root

setup_file()
{
        root_prepare systemd man-db
        # Packages of our own: `small`, with what maintainers' scripts do; `big`, 24 MB of what cannot be packed.
        package small 1
        cat >small/DEBIAN/postinst <<'EOF'
#!/bin/sh
set -e
. /usr/share/debconf/confmodule
db_input medium small/word || true
db_go || true
db_get small/word
getent passwd small >/dev/null || adduser --system --group --home /var/lib/small small >&2
echo "$RET" >/var/lib/small/word
chown -R small:small /var/lib/small
update-alternatives --install /usr/bin/grazer grazer /opt/small/grazer 50 >&2
chown small:adm /opt/small/own && chmod 4750 /opt/small/own
setcap cap_net_raw,cap_net_bind_service+ep /opt/small/capable
EOF
        cat >small/DEBIAN/postrm <<'EOF'
#!/bin/sh
set -e
[ "$1" != purge ] || { deluser --system small >/dev/null 2>&1; rm -rf /var/lib/small; }
EOF
        printf 'Template: small/word\nType: string\nDefault: moo\nDescription: Word:\n What is said.\n' >small/DEBIAN/templates
        echo /etc/small.conf >small/DEBIAN/conffiles
        echo Depends: debconf, adduser >>small/DEBIAN/control
        chmod 755 small/DEBIAN/post*
        mkdir -p small/opt/small small/etc small/usr/share/man/man1
        echo 'one' >small/etc/small.conf
        cp /usr/bin/id small/opt/small/own
        cp /usr/bin/id small/opt/small/capable
        cp /usr/bin/cat small/opt/small/grazer
        printf '.TH SMALL 1\n.SH NAME\nsmall \\- grazes quietly\n' >small/usr/share/man/man1/small.1
        package big 1
        mkdir -p big/opt/big
        for i in 1 2 3; do head -c 8M /dev/urandom >big/opt/big/$i; done
        for name in small big; do dpkg-deb --root-owner-group -Znone -b $name $name.deb >/dev/null; done
}

teardown_file() { root_end; }

package()
{
        mkdir -p "$1/DEBIAN"
        printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n' "$1" "$2" >"$1/DEBIAN/control"
}

@test "packages: apt-get update with its own download user, install, remove, autoremove" {
        run as_root '
                apt-get update -q >/dev/null; apt-get install -y -q --no-install-recommends cowsay >/dev/null 2>&1
                /usr/games/cowsay moo | grep -c moo; dpkg -s cowsay | grep ^Status
                stat -c %U /var/cache/apt/archives/partial /var/lib/apt/lists/partial
                apt-get remove -y -q cowsay >/dev/null; [ ! -e /usr/games/cowsay ]; apt-get autoremove -y -q >/dev/null; dpkg --audit'
        expect_status 0
        expect "1
Status: install ok installed
_apt
_apt"
        not command -v cowsay
}

@test "packages: downloaded first, installed later without a network" {
        as_root 'apt-get update -q >/dev/null; mkdir -p /srv/kept; cd /srv/kept; apt-get download -q hello >/dev/null 2>&1'
        run "$PADDOCK" run -n "$LAB" -- unshare -n sh -c 'cd /srv/kept && apt-get install -y -q ./hello_*.deb >/dev/null 2>&1; hello -g moo'
        expect moo
}

@test "packages: a package that is older inside is upgraded, with its database and files" {
        package small2 1
        mkdir -p small2/opt/two
        echo 1 >small2/opt/two/v
        dpkg-deb --root-owner-group -b small2 two-1.deb >/dev/null
        package small2 2
        echo 2 >small2/opt/two/v
        dpkg-deb --root-owner-group -b small2 two-2.deb >/dev/null
        run as_root 'dpkg -i two-1.deb >/dev/null; mkdir -p /srv/repo; cp two-2.deb /srv/repo; cd /srv/repo
                printf "Package: small2\nVersion: 2\nArchitecture: all\nMaintainer: A <a@example.org>\nFilename: ./two-2.deb\nSize: %s\nSHA256: %s\nDescription: x\n" \
                        "$(stat -c %s two-2.deb)" "$(sha256sum two-2.deb | cut -c1-64)" >Packages
                echo "deb [trusted=yes] file:/srv/repo ./" >/etc/apt/sources.list.d/own.list
                apt-get update -q -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/own.list -o Dir::Etc::sourceparts=- >/dev/null
                apt-get install -y -q --only-upgrade small2 >/dev/null 2>&1; cat /opt/two/v; dpkg-query -W small2
                rm /etc/apt/sources.list.d/own.list'
        expect_status 0
        expect "2
small2	2"
}

@test "packages: debconf, a user of its own, alternatives, set-uid files, capabilities, man pages" {
        run as_root '
                echo "small small/word string baa" | debconf-set-selections
                dpkg -i small.deb >/dev/null 2>&1; cat /var/lib/small/word; stat -c "%U:%G" /var/lib/small/word
                update-alternatives --query grazer | sed -n "s/^Value: //p"; readlink -f /usr/bin/grazer
                stat -c "%U:%G %a" /opt/small/own; getcap /opt/small/capable; man -w small; whatis small; dpkg -V small'
        expect_status 0
        expect "baa
small:small
/opt/small/grazer
/opt/small/grazer
small:adm 4750
/opt/small/capable cap_net_bind_service,cap_net_raw=ep
/usr/share/man/man1/small.1
small (1)            - grazes quietly"
        run as_root 'echo two >/etc/small.conf; dpkg -r small >/dev/null 2>&1; cat /etc/small.conf; [ ! -e /usr/bin/grazer ]
                dpkg -P small >/dev/null 2>&1; [ ! -e /etc/small.conf ]; ! id small 2>/dev/null; dpkg -l small 2>&1 | grep -c ^ii || true'
        expect "two
0"
}

@test "packages: ldconfig, systemd-tmpfiles, locale-gen" {
        run as_root '
                mkdir -p /opt/lib; echo "int grazing(void) { return 7; }" >g.c; echo "int grazing(void); int main(void) { return grazing(); }" >m.c
                gcc -shared -fPIC -Wl,-soname,libgraze.so.1 -o /opt/lib/libgraze.so.1 g.c; ln -s libgraze.so.1 /opt/lib/libgraze.so
                gcc -o m m.c -L/opt/lib -lgraze; echo /opt/lib >/etc/ld.so.conf.d/graze.conf; ldconfig; code=0; ./m || code=$?; echo $code
                echo "d /var/lib/graze 0750 www-data adm -" >/etc/tmpfiles.d/graze.conf; systemd-tmpfiles --create graze.conf; stat -c "%U:%G %a" /var/lib/graze
                echo "de_DE.UTF-8 UTF-8" >>/etc/locale.gen; locale-gen >/dev/null; locale -a | grep de_DE'
        expect_status 0
        expect "7
www-data:adm 750
de_DE.utf8"
}

@test "packages: git clones and commits" {
        run as_root 'git init -q a; cd a; git config user.email a@example.org; git config user.name A; echo x >f; git add f
                git commit -qm one; cd ..; git clone -q a b; git -C b log --format=%s; chown -R www-data a
                git -C a status 2>&1 | grep -c "dubious ownership"'
        expect "one
1"
}

@test "packages: the disk full in the middle of dpkg: it says so, keeps its books, and goes on when there is room" {
        # An environment inside keeps its layer in a file system of 20 MB, which before Linux 6.6 takes none, and it says so.
        if ! as_root_once 'mkdir /srv/st; mount -t tmpfs t /srv/st; touch /srv/st/f; setfattr -n user.a -v b /srv/st/f'; then
                run as_root_once 'mkdir /srv/st; mount -t tmpfs t /srv/st; XDG_STATE_HOME=/srv/st "$PADDOCK" run -n in --as root -- true'
                expect_status 125
                expect_match 'cannot hold a layer'
                return
        fi
        run as_root_once 'mkdir /srv/st; mount -t tmpfs -o size=20m,mode=700 t /srv/st; export XDG_STATE_HOME=/srv/st
                "$PADDOCK" run -n in --as root -- sh -c "dpkg -i small.deb >/dev/null 2>&1; dpkg -i big.deb >/dev/null 2>&1; echo \$?
                        dpkg-query -W -f \"\\\${db:Status-Abbrev}\\n\" small; dpkg -l big 2>&1 | grep -c ^ii
                        head -c 100M /dev/zero >/opt/fill 2>/dev/null; dpkg -r small >/dev/null 2>&1; echo \$?"
                echo again
                "$PADDOCK" run -n in -- sh -c "dpkg-query -W -f \"\\\${db:Status-Abbrev}\\n\" small; rm /opt/fill; dpkg --configure -a; echo \$?"
                mount -o remount,size=80m /srv/st
                "$PADDOCK" run -n in -- sh -c "dpkg -i big.deb >/dev/null 2>&1; cmp /opt/big/3 big/opt/big/3; dpkg --audit; dpkg -V big"
                "$PADDOCK" rm in; ls -A /srv/st/paddock/env'
        expect_status 0
        expect "1
ii 
0
2
again
ii 
0"
}

# apt_until REGEX - apt-get installs both packages in a fresh environment; returns when its output matches.
apt_until()
{
        "$PADDOCK" run -n "k$BATS_TEST_NUMBER" --as root -- apt-get install -y -q ./small.deb ./big.deb >apt.log 2>&1 3>&- 4>&- &
        apt=$!
        eventually grep -q "$1" apt.log
}

# apt_goes_on - what was begun is finished by the next run, as after a crash of the machine: what was half unpacked is unpacked again.
apt_goes_on()
{
        run "$PADDOCK" run -n "k$BATS_TEST_NUMBER" -- sh -c 'dpkg --configure -a >/dev/null 2>&1; dpkg -i small.deb big.deb >/dev/null 2>&1
                dpkg --audit; dpkg-query -W -f "\${db:Status-Abbrev}\n" small big; dpkg -V small big; cmp /opt/big/3 big/opt/big/3
                cat /var/lib/small/word; ls -A /var/lib/dpkg/updates'
        expect "ii 
ii 
moo"
        paddock rm "k$BATS_TEST_NUMBER"
}

@test "packages: the server killed in mid-apt: a message, and the next run goes on" {
        apt_until '^Unpacking big'
        kill -KILL "$(server_of "$apt")"
        code=0
        wait "$apt" || code=$?
        [ "$code" = 125 ]
        grep -q 'the server that shows the main system .* ended' apt.log
        paddock show "k$BATS_TEST_NUMBER" | grep -q '^# state: stopped'
        apt_goes_on
}

@test "packages: paddock killed in mid-apt: the next run goes on" {
        apt_until '^Unpacking small'
        kill -KILL "$apt"
        wait "$apt" || true
        eventually sh -c '"$PADDOCK" show "k$BATS_TEST_NUMBER" | grep -q "^# state: stopped"'
        apt_goes_on
}

@test "packages: Ctrl-C stops apt alone, and the shell in the environment goes on" {
        run $PTY 'expect # ' 'send apt-get install -y -q ./small.deb ./big.deb\n' 'expect Unpacking big' 'send \x03' 'expect # ' 'send echo st''ill; exit\n' \
                -- "$PADDOCK" run -n "k$BATS_TEST_NUMBER" --as root -- env PS1='# ' sh -i
        expect_status 0
        expect_match $'still\r'
        apt_goes_on
}

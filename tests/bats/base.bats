#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# base.bats - what a layer was made over, and what is said when the main system moved on.

load common

# The environments here are root's, who alone changes files of packages, over a main system whose package database and name are
# copies that the tests change.
setup_base()
{
        [ -e /var/lib/dpkg/status ] || skip "needs dpkg"
        is_root || { [ -r /dev/fuse ] && [ -w /dev/fuse ]; } || skip "needs /dev/fuse"
        cp /var/lib/dpkg/status "$PLACE/status"
        cp /etc/os-release "$PLACE/os-release"
        over true || skip "cannot mount here"
}

# over COMMAND... - runs it on that main system.
over()
{
        local space=(--user --map-current-user --keep-caps)

        ! is_root || space=()
        # shellcheck disable=SC2016
        unshare "${space[@]}" --mount sh -c '
                mount --bind "$1/status" /var/lib/dpkg/status || exit 99
                mount --bind "$1/os-release" "$(realpath /etc/os-release)" || exit 99
                # With one id: ranges cannot be used in here.
                [ ! -e /etc/subuid ] || mount --bind /dev/null /etc/subuid || exit 99
                shift
                [ "$(id -u)" = 0 ] || set -- setpriv --ambient-caps=-all --inh-caps=-all -- "$@"
                exec "$@"' - "$PLACE" "$@"
}

# upgrade PACKAGE VERSION - of the main system.
upgrade()
{
        awk -v package="$1" -v version="$2" '
                /^Package: / { this = $2 }
                /^Version: / && this == package { print "Version: " version; next }
                { print }' "$PLACE/status" >"$PLACE/status.new"
        not cmp -s "$PLACE/status" "$PLACE/status.new"
        cat "$PLACE/status.new" >"$PLACE/status"
}

@test "base: an upgrade of a package that the layer has files of is told, and others are not" {
        setup_base
        over "$PADDOCK" run -n lab --as root -- sh -c 'echo x >>/etc/issue' 2>/dev/null # of base-files
        run over "$PADDOCK" run -n lab -- true
        [[ $output != *"moved on"* ]]
        upgrade hostname 99.1
        run over "$PADDOCK" run -n lab -- true
        expect_status 0
        [[ $output != *"moved on"* ]]
        upgrade base-files 99.2
        run over "$PADDOCK" run -n lab -- true
        expect_status 0
        expect_match "moved on since the layer of 'lab' was made: 1 package that the layer has files of changed: base-files:[a-z0-9]+ \([^ ]+ -> 99.2\)"
        expect_match 'paddock run --rebase -n lab'
}

@test "base: show tells it too, as comments and as JSON" {
        setup_base
        over "$PADDOCK" run -n lab --as root -- sh -c 'rm /etc/issue' 2>/dev/null
        run over "$PADDOCK" show lab
        expect_match "# base: .*, $(grep -c '^Status: .* installed$' "$PLACE/status") packages"
        [[ $output != *"moved on"* ]]
        upgrade hostname 99.1
        upgrade base-files 99.2
        run over "$PADDOCK" show lab
        expect_match '# moved on: 2 packages changed outside, 1 of which the layer has files of: base-files:'
        run over "$PADDOCK" show --json lab
        expect_match '"after": "99.2"'
        expect_match '"in-layer": true'
        # What is printed makes the environment again.
        run over "$PADDOCK" show lab
        printf '%s\n' "$output" | grep -v ^name: | "$PADDOCK" create -f - copy
}

@test "base: a layer with a package database of its own is concerned by every change" {
        setup_base
        ! is_root || skip "the database is a mount of its own here, which root inside cannot change"
        over "$PADDOCK" run -n lab --as root -- sh -c 'echo >>/var/lib/dpkg/status' 2>/dev/null
        upgrade hostname 99.1
        run over "$PADDOCK" run -n lab -- true
        expect_match '1 package that the layer has a record of changed: hostname:'
}

@test "base: another version of the system is told" {
        setup_base
        over "$PADDOCK" run -n lab --as root -- true 2>/dev/null
        echo 'PRETTY_NAME="Sheep 2"' >"$PLACE/os-release"
        upgrade hostname 99.1
        run over "$PADDOCK" run -n lab -- true
        expect_match 'it was .*, and is Sheep 2'
        run over "$PADDOCK" show lab
        expect_match '# moved on: Sheep 2'
}

@test "base: --rebase starts afresh, says so, and is refused while it runs" {
        setup_base
        over "$PADDOCK" run -n lab --as root -- sh -c 'echo x >>/etc/issue; echo y >/etc/y' 2>/dev/null
        upgrade base-files 99.2
        run over "$PADDOCK" run --rebase -n lab -- sh -c '[ ! -e /etc/y ]; echo $?'
        expect_match "the layer of 'lab' was removed"
        expect_match $'\n0$'
        run over "$PADDOCK" run -n lab -- true
        [[ $output != *"moved on"* ]]
        run "$PADDOCK" run --rebase -- true
        expect_status 125
        start "$PADDOCK" run -n other -- sleep 60
        eventually sh -c '"$PADDOCK" list | grep -q "other *running"'
        run "$PADDOCK" run --rebase -n other -- true
        expect_status 125
        expect_match "'other' is running"
        no_temporary
}

@test "base: of an environment of one's own files too, and a temporary one has none" {
        "$PADDOCK" run -n mine -- sh -c 'echo x >f'
        [ -s "$XDG_STATE_HOME/paddock/env/mine/base" ]
        run "$PADDOCK" run --rebase -n mine -- sh -c 'cat f'
        [ "$status" != 0 ]
        "$PADDOCK" run -- sh -c 'echo x >f'
        no_temporary
}

@test "base: a damaged stamp is told, and does not keep the environment from running" {
        "$PADDOCK" run -n mine -- sh -c 'echo x >f'
        echo nonsense >"$XDG_STATE_HOME/paddock/env/mine/base"
        run "$PADDOCK" run -n mine -- cat f
        expect_status 0
        expect_match "record of the layer's base"
        expect_match $'\nx$'
}

# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# root.bash - what the tests of `paddock run --as root` share. They are for an ordinary user with subordinate ids and /dev/fuse, and
# fail, not skip, without: tools/check makes such a user when root starts it.
#
# A file's tests share a directory $SPOT on a local disk, in which paddock keeps its state, and one environment, $LAB, which
# root_prepare makes with packages from the distribution's mirror as this machine is configured for it.

bats_require_minimum_version 1.5.0
PATH=/usr/local/bin:/usr/bin:/bin
PTY="/usr/bin/python3 $BATS_TEST_DIRNAME/../bats/pty.py"
LAB=lab

# root_prepare [PACKAGE...] - for setup_file: what the main system lacks of them is installed inside.
root_prepare()
{
        [ "$(id -u)" != 0 ] || { echo "these tests are for an ordinary user" >&2; return 1; }
        [ -x "$PADDOCK" ] || { echo "no program $PADDOCK: build it, or set PADDOCK" >&2; return 1; }
        [ -r /dev/fuse ] && [ -w /dev/fuse ] || { echo "needs /dev/fuse: as root, chmod 666 /dev/fuse" >&2; return 1; }
        grep -q "^$(id -un):" /etc/subuid || { echo "needs subordinate ids: paddock doctor tells how" >&2; return 1; }
        PADDOCK=$(realpath "$PADDOCK")
        SPOT=$(mktemp -d /var/tmp/paddock-root.XXXXXX)
        XDG_STATE_HOME=$SPOT/state
        export PADDOCK SPOT XDG_STATE_HOME PATH PTY LAB DEBIAN_FRONTEND=noninteractive
        unset XDG_RUNTIME_DIR TMPDIR ENV BASH_ENV
        cd "$SPOT" || return 1
        paddock run -n "$LAB" --as root -- true || return 1
        local missing=() package
        for package; do
                dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
        done
        [ "${#missing[@]}" = 0 ] ||
                as_root 'apt-get update -q && apt-get install -y -q --no-install-recommends "$@"' "${missing[@]}" >install.log 2>&1 ||
                { echo "cannot install ${missing[*]} inside:" >&2; tail -20 install.log >&2; return 1; }
}

# For teardown_file.
root_end()
{
        cd / || return 1
        paddock list 2>/dev/null | awk '{print $1}' | while read -r name; do paddock rm "$name"; done
        rm -rf "$SPOT"
}

paddock() { "$PADDOCK" "$@"; }

# as_root SCRIPT [ARGUMENT...] - sh runs it in $LAB, and ends at the first failure.
as_root() { "$PADDOCK" run -n "$LAB" -- sh -ec "$1" - "${@:2}"; }

# The same in an environment of its own.
as_root_once() { "$PADDOCK" run --as root -- sh -ec "$1" - "${@:2}"; }

expect()
{
        [ "$output" = "$1" ] || { printf 'expected: %s\n  output: %s\n' "$1" "$output" >&2; return 1; }
}

expect_match()
{
        [[ $output =~ $1 ]] || { printf 'expected a match of: %s\n             output: %s\n' "$1" "$output" >&2; return 1; }
}

expect_status()
{
        [ "$status" = "$1" ] || { printf 'expected status %s, got %s; output:\n%s\n' "$1" "$status" "$output" >&2; return 1; }
}

not()
{
        ! "$@" || { echo "should have failed: $*" >&2; return 1; }
}

eventually()
{
        local end=$((SECONDS + 30))

        until "$@"; do
                [ "$SECONDS" -lt "$end" ] || { echo "never true: $*" >&2; return 1; }
                sleep 0.02
        done
}

# server_of PID - the mirror's server of the paddock PID.
server_of()
{
        local child

        for child in $(cat "/proc/$1/task/$1/children"); do
                if tr '\0' '\n' <"/proc/$child/cmdline" | head -1 | grep -q 'paddock-files-mirror$'; then
                        echo "$child"
                        return
                fi
        done
        return 1
}

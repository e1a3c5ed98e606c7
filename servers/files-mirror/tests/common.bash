# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# common.bash - what the tests of files-mirror share. The server shows $OUT, with mount.c, to a shell that runs beside it:
#
#   mirror [OPTION...]      starts it; options of mount.c, then those of the server after "--"
#   within COMMAND...       runs a command as root inside; $M is the mirror there, $O the overlay over it
#   world                   before it: "outside" becomes a mount namespace in which `out COMMAND...` may mount
#   seen COMMAND...         the command is true inside within a second and a half: the second that is promised, and the machine's load

load ../../../tests/bats/common

# Beside paddock, or where it was built.
SERVER=$(dirname "${PADDOCK:-$BATS_TEST_DIRNAME/../../../build/src/paddock}")/paddock-files-mirror
[ -x "$SERVER" ] || SERVER=$(dirname "$SERVER")/../servers/files-mirror/paddock-files-mirror
M=/mnt/m
O=/mnt/o

# Compiles the tools that a shell lacks, once for each file of tests. A machine without a compiler is given them in $MIRROR_TOOLS.
setup_file()
{
        local name

        TOOLS=$(mktemp -d "${TMPDIR:-/var/tmp}/mirror-tools.XXXXXX")
        export TOOLS
        for name in mount tool; do
                if [ -n "${MIRROR_TOOLS:-}" ]; then
                        cp "$MIRROR_TOOLS/$name" "$TOOLS/$name" || return 1
                        continue
                fi
                cc -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -o "$TOOLS/$name" "$BATS_TEST_DIRNAME/$name.c" || return 1
        done
        chmod -R 755 "$TOOLS"
}
teardown_file() { rm -rf "$TOOLS"; }

# held_by FIFO COMMAND... - in the background, with the fifo as its input
held_by() { start sh -c 'fifo=$1; shift; exec "$@" <"$fifo"' sh "$@"; }

world()
{
        mkfifo "$PLACE/world"
        exec 8<>"$PLACE/world"
        held_by "$PLACE/world" unshare --user --map-root-user --mount --propagation private cat
        eventually is_named "$started" cat
        outside=(nsenter --target "$started" --user --mount --preserve-credentials "--wd=$HOME" --)
        export MOUNT_ONE_ID=1
}
is_named() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ]; }
out() { "${outside[@]}" "$@" 7>&- 8>&-; }

mirror()
{
        local options=()

        while [ $# -gt 0 ] && [ "$1" != -- ]; do
                options+=("$1")
                shift
        done
        [ $# = 0 ] || shift
        rm -f "$PLACE/pids" "$PLACE/end"
        mkfifo "$PLACE/end"
        exec 7<>"$PLACE/end"
        held_by "$PLACE/end" "${outside[@]}" "$TOOLS/mount" -o "${options[@]}" -p "$PLACE/pids" "$SERVER" "$@" "$OUT" -- cat \
                2>"$PLACE/complaints" 7>&- 8>&-
        mounter=$started
        eventually test -s "$PLACE/pids" || { cat "$PLACE/complaints" >&2; return 1; }
        read -r inner server <"$PLACE/pids"
        export M O
}

# Everything ends: the server too, and nobody complained.
leave()
{
        local code=0

        kill "$inner"
        exec 7>&-
        wait "$mounter" || code=$?
        [ "$code" = 143 ] || { echo "mount: status $code" >&2; cat "$PLACE/complaints" >&2; return 1; }
        eventually ended "$server"
        # libfuse tells of a notice that came too late for the kernel.
        not grep -v '^fuse: writing device' "$PLACE/complaints" >&2
}

# An ordinary user is root there as what he is; root has to become it.
within()
{
        local as=--preserve-credentials

        ! is_root || [ -n "${MOUNT_ONE_ID:-}" ] || as=
        nsenter --target "$inner" --user --mount $as --wd=/mnt -- "$@" 7>&- 8>&-
}
tool() { "$TOOLS/tool" "$@"; }
within_tool() { within "$TOOLS/tool" "$@"; }

# $soon: milliseconds
seen()
{
        local end=$(($(date +%s%N) + ${soon:-1500} * 1000000))

        until within "$@" 2>/dev/null; do
                [ "$(date +%s%N)" -lt "$end" ] || { echo "not seen inside: $*" >&2; within "$@"; return 1; }
                sleep 0.02
        done
}

# agree DIR - what is listed inside can be looked at, and is what is outside.
agree()
{
        local outside inside

        outside=$(cd "$OUT/$1" && find . -mindepth 1 -printf '%p %y %m %s %n %l\n' | sort)
        inside=$(within find "$O/$1" -mindepth 1 -printf './%P %y %m %s %n %l\n' | sort) || return 1
        diff <(printf '%s\n' "$outside") <(printf '%s\n' "$inside") >&2
}
agrees() { eventually agree "$@"; }

descriptors() { find "/proc/$server/fd" -mindepth 1 2>/dev/null | wc -l; }

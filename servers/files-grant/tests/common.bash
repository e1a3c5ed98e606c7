# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# common.bash - what the tests of files-grant share. grants.c stands for the warden; a shell tells it what to do:
#
#   grants                  starts it, and the server
#   say COMMAND...          one command of grants.c; what it answers is in $answer
#   add ID FLAGS SOURCE     adds a grant, which must work; it is at /mnt/ID inside
#   within COMMAND...       runs a command as root inside
#   leave                   the end of the control socket is the end of the server
#   world                   before `grants`: "outside" becomes a mount namespace in which `out COMMAND...` may mount

load ../../../tests/bats/common

# Beside paddock, or where it was built.
SERVER=$(dirname "${PADDOCK:-$BATS_TEST_DIRNAME/../../../build/src/paddock}")/paddock-files-grant
[ -x "$SERVER" ] || SERVER=$(dirname "$SERVER")/../servers/files-grant/paddock-files-grant

# Compiles the tools that a shell lacks, once for each file of tests. A machine without a compiler is given them in $GRANT_TOOLS.
setup_file()
{
        local name

        TOOLS=$(mktemp -d "${TMPDIR:-/var/tmp}/grant-tools.XXXXXX")
        export TOOLS
        for name in grants tool held semantics consistent; do
                if [ -n "${GRANT_TOOLS:-}" ]; then
                        cp "$GRANT_TOOLS/$name" "$TOOLS/$name" || return 1
                        continue
                fi
                cc -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -pthread -o "$TOOLS/$name" "$BATS_TEST_DIRNAME/$name.c" || return 1
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
        export GRANTS_ONE_ID=1
}
is_named() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ]; }
out() { "${outside[@]}" "$@" 6>&- 7>&- 8>&-; }

grants()
{
        rm -f "$PLACE/pids" "$PLACE/commands" "$PLACE/answers"
        mkfifo "$PLACE/commands" "$PLACE/answers"
        exec 7<>"$PLACE/commands" 6<>"$PLACE/answers"
        : >"$PLACE/events"
        export GO=$PLACE/go # what tools wait for
        held_by "$PLACE/commands" "${outside[@]}" "$TOOLS/grants" "$PLACE/pids" "$PLACE/events" "$SERVER" \
                >"$PLACE/answers" 2>"$PLACE/complaints" 6>&- 7>&- 8>&-
        driver=$started
        eventually test -s "$PLACE/pids" || { cat "$PLACE/complaints" >&2; return 1; }
        read -r inner server <"$PLACE/pids"
}

say()
{
        printf '%s\n' "$*" >&7
        read -r -t 60 answer <&6 || { echo "no answer to: $*" >&2; return 1; }
}

add()
{
        say add "$@"
        [ "$answer" = ok ] || { echo "add $*: $answer" >&2; return 1; }
}

# revoke ID - $lost, $stuck, $files, $us are what was told.
revoke()
{
        say revoke "$1"
        [[ $answer =~ ^done\ lost=([0-9]+)\ stuck=([0-9]+)\ files=([0-9]+)\ us=([0-9]+)$ ]] || { echo "revoke: $answer" >&2; return 1; }
        lost=${BASH_REMATCH[1]} stuck=${BASH_REMATCH[2]} files=${BASH_REMATCH[3]} us=${BASH_REMATCH[4]}
}

event() { grep -q "$1" "$PLACE/events"; }

# Everything ends: the server too, and nobody complained.
leave()
{
        local code=0

        echo end >&7
        wait "$driver" || code=$?
        exec 6>&- 7>&-
        [ "$code" = 0 ] || { echo "grants: status $code" >&2; cat "$PLACE/complaints" >&2; return 1; }
        eventually ended "$server"
        [ ! -s "$PLACE/complaints" ] || { cat "$PLACE/complaints" >&2; return 1; }
}

# An ordinary user is root there as what he is; root has to become it.
within() { nsenter --target "$inner" --user --mount --preserve-credentials -- "$@" 6>&- 7>&- 8>&-; }
tool() { "$TOOLS/tool" "$@"; }
within_tool() { within "$TOOLS/tool" "$@"; }

# seen COMMAND... - the command is true inside within the second that is promised, and the machine's load
seen()
{
        local end=$(($(date +%s%N) + ${soon:-1500} * 1000000))

        until within "$@" 2>/dev/null; do
                [ "$(date +%s%N)" -lt "$end" ] || { echo "not seen inside: $*" >&2; within "$@"; return 1; }
                sleep 0.02
        done
}

descriptors() { find "/proc/$server/fd" -mindepth 1 2>/dev/null | wc -l; }
threads() { sed -n 's/^Threads:[[:space:]]*//p' "/proc/$server/status"; }
kilobytes() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$server/status"; }
said() { grep -q "$1" "$2"; }

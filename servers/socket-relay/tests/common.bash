# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# common.bash - what the tests of socket-relay share. tool.c plays the warden, the servers outside and the programs inside.
#
#   relay                   starts the server; $server is its pid
#   says COMMAND... ANSWER  tells the warden's tool a line; a line that matches ANSWER (grep -x) comes back
#   serves TYPE [echo|sink] a server at $S
#   granted TYPE [once]     grant 1 of $S as $C

load ../../../tests/bats/common

# Beside paddock, or where it was built.
SERVER=$(dirname "${PADDOCK:-$BATS_TEST_DIRNAME/../../../build/src/paddock}")/paddock-socket-relay
[ -x "$SERVER" ] || SERVER=$(dirname "$SERVER")/../servers/socket-relay/paddock-socket-relay

setup_file()
{
        TOOLS=$(mktemp -d "${TMPDIR:-/var/tmp}/relay-tools.XXXXXX")
        export TOOLS
        cc -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -o "$TOOLS/tool" "$BATS_TEST_DIRNAME/tool.c" || return 1
        chmod -R 755 "$TOOLS"
}
teardown_file() { rm -rf "$TOOLS"; }

tool() { timeout 60 "$TOOLS/tool" "$@" 7>&-; }

relay()
{
        S=$PLACE/s C=$PLACE/c
        mkfifo "$PLACE/words"
        exec 7<>"$PLACE/words"
        start sh -c 'exec "$1" warden "$2" <"$3" 7>&-' sh "$TOOLS/tool" "$SERVER" "$PLACE/words" >"$PLACE/answers" 2>"$PLACE/complaints"
        warden=$started
        eventually grep -q '^relay' "$PLACE/answers"
        server=$(sed -n 's/^relay //p' "$PLACE/answers")
}

says()
{
        local before answer=${*: -1}

        before=$(wc -l <"$PLACE/answers")
        echo "${*:1:$#-1}" >&7
        eventually answered "$((before + 1))" "$answer"
}
answered() { tail -n "+$1" "$PLACE/answers" | grep -qx -e "$2"; }
heard() { grep -qx -e "$1" "$PLACE/answers"; }

serves()
{
        start "$TOOLS/tool" "${2:-echo}" "$1" "$S" >"$PLACE/served" 7>&-
        eventually grep -q listens "$PLACE/served"
        served=$started
}

granted() { says "add 1 $1 $C $S ${2:-}" "done 1 0"; }

# The relay ends when its warden does, and said nothing.
leave()
{
        exec 7>&-
        kill "$warden" && wait "$warden" || true
        eventually ended "$server"
        [ ! -s "$PLACE/complaints" ] || { cat "$PLACE/complaints" >&2; return 1; }
}

kilobytes() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$server/status"; }
descriptors() { find "/proc/$server/fd" -mindepth 1 2>/dev/null | wc -l; }
ticks() { cut -d' ' -f14,15 "/proc/$server/stat" | tr ' ' + | bc; }

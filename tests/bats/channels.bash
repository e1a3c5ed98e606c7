# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# channels.bash - what the tests of channels share.

END="/usr/bin/python3 $BATS_TEST_DIRNAME/channel.py"
IN=/run/paddock/channel
# free_port [udp] - a port that nobody has.
free_port()
{
        python3 -c 'import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM if sys.argv[1] else socket.SOCK_STREAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])' "${1:-}"
}
# field NAME [LINE...] - an environment with a network of its own, which sees the tests.
field()
{
        { printf 'name: %s\nnetwork: none\nview: {"%s": empty}\n' "$1" "$HOME"; printf '%s\n' "${@:2}"; } >"$PLACE/$1.yaml"
        "$PADDOCK" create -f "$PLACE/$1.yaml"
        "$PADDOCK" start "$1"
}
channel() { "$PADDOCK" channel "$@"; }
partner() { echo "$XDG_STATE_HOME/paddock/env/$1/channel/$2"; }

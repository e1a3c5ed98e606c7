# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# channels.bash - what the tests of channels share.

END="/usr/bin/python3 $BATS_TEST_DIRNAME/channel.py"
IN=/run/paddock/channel
# free_port [udp] - a port that nobody has. It is none of those that the kernel gives to who asks for any: between this
# question and its use, a test beside this one would get it.
free_port()
{
        python3 -c 'import random, socket, sys
while True:
    s = socket.socket(type=socket.SOCK_DGRAM if sys.argv[1] else socket.SOCK_STREAM)
    try:
        port = random.randrange(12000, 32000)
        s.bind(("127.0.0.1", port))
        break
    except OSError:
        pass
print(port)' "${1:-}"
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

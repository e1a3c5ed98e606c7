# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# served.bash - what the tests of roles that a server answers share: a network outside that is the test's own.

SERVED=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/served
SERVER=$SERVED/server.py

# outside COMMAND... - in that network, with its services; a single id, and so identity self. With $mapless as who one is, for root.
outside()
{
        export SAID=$PWD/said SERVER SERVED
        : >said
        rm -f ready
        cat >say.py <<'X'
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float((sys.argv + [15])[3])).recv(20).decode().strip())
except OSError as e:
    print(e.strerror or e)
X
        local user=(-Ur --keep-caps)
        [ -z "${mapless:-}" ] || user=()
        unshare "${user[@]}" -n bash -c '
                ip link set lo up
                ip addr add 10.9.8.7/32 dev lo
                python3 "$SERVED/outside.py" 10.9.8.7 "$PWD/ready" 80 81 82 83 &
                services=$!
                until [ -e ready ]; do sleep 0.02; done
                "$@"
                status=$?
                kill $services
                exit $status' - "$@" 3>&- 4>&-
}

# described NAME [WORD...] - its sockets are answered by server.py.
described()
{
        local words='' word
        for word in "${@:2}"; do words+=", \"$word\""; done
        printf 'name: %s\nsockets: {serve: [python3, %s%s], resolver: "10.9.8.7:5353"}\n' "$1" "$SERVER" "$words" >"$1.yaml"
}

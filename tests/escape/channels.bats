#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What a program inside would try with the channels that it has.

load ../bats/common
load ../bats/grants

setup_file() { :; }
teardown_file() { :; }
END="/usr/bin/python3 $BATS_TEST_DIRNAME/../bats/channel.py"
IN=/run/paddock/channel
eval "original_$(declare -f teardown)"
teardown() { end_web; original_teardown; }

# field LINE... - with a network of its own.
field()
{
        { printf 'name: web\nnetwork: none\nview: {"%s": empty}\n' "$HOME"; printf '%s\n' "$@"; } >"$PLACE/web.yaml"
        "$PADDOCK" create -f "$PLACE/web.yaml"
        "$PADDOCK" start web
}

@test "escape: the commands of an exec channel are those that were listed, with their own arguments" {
        field 'channels:' '  run: {exec: {now: [/bin/echo, right]}}'
        for one in 'now; id' 'now id' /bin/id ../now $'now\tid' '' "$(printf '%5000s' x)"; do
                run enter python3 - "$IN/run" "$one" <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b'\n')
s.shutdown(socket.SHUT_WR)
data = b''
while True:
    try:
        part = s.recv(65536)
    except ConnectionResetError:
        break
    if not part:
        break
    data += part
print(data.decode())
END
                [[ ! $output =~ right|uid= ]]
        done
        run enter "$PADDOCK" channel --call "$IN/run" now </dev/null
        expect_output right
}

@test "escape: a files channel is not left by a link or by .., and outside follows none from it" {
        needs_fuse
        echo secret >"$PLACE/secret"
        mkdir "$PLACE/shared"
        field 'channels:' "  box: {files: $PLACE/shared}" "  " 2>/dev/null
        enter sh -c "ln -s $PLACE/secret $IN/box/link; ln -s .. $IN/box/up; ln -s $IN/box/../../../.. $IN/box/root"
        run enter sh -c "echo over >$IN/box/../secret; echo over >$IN/box/up/secret; cd $IN/box && echo over >../secret; true"
        [ "$(cat "$PLACE/secret")" = secret ]
        [ "$(readlink "$PLACE/shared/link")" = "$PLACE/secret" ]
}

@test "escape: a flood of connections and one who never reads hold up nobody else" {
        field 'channels: {flood: stream, log: stream}'
        enter sh -c "$END fill $IN/flood" >filled 3>&- &
        enter python3 - "$IN/flood" >made 3>&- <<'END' &
import socket, sys, time
kept = []
for i in range(500):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(0.2)
    try:
        s.connect(sys.argv[1])
    except OSError:
        break
    kept.append(s)
print(len(kept), flush=True)
time.sleep(30)
END
        made() { [ -s made ]; }
        eventually made
        $END talk "$XDG_STATE_HOME/paddock/env/web/channel/log" out >got 3>&- &
        other=$!
        [ "$(enter sh -c "$END talk $IN/log in")" = out ]
        wait "$other"
        [ "$(cat got)" = in ]
        run -0 "$PADDOCK" channel web --remove flood
}

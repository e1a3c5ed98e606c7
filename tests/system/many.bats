#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Many environments at once. $PADDOCK_MANY says how many.

setup() {
        work=$(mktemp -d /var/tmp/paddock-many.XXXXXX)
        export HOME=$work/home XDG_STATE_HOME=$work/state
        mkdir "$HOME"
        mkdir -m 700 "$XDG_STATE_HOME"
        cd "$HOME"
}

teardown() {
        for control in "$XDG_STATE_HOME"/paddock/env/*/control; do
                [ ! -S "$control" ] || "$PADDOCK" stop --now "$(basename "${control%/control}")" >/dev/null 2>&1 || true
        done
        chmod -R u+rwX "$work"
        rm -rf "$work"
}

@test "two hundred environments at once start, list, are entered, granted something and stopped without a growing cost for each" {
        run timeout 600 python3 "$BATS_TEST_DIRNAME/many.py" "$PADDOCK" "${PADDOCK_MANY:-200}"
        echo "$output"
        [ "$status" = 0 ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Environments that live, treated badly: started, entered, stopped and killed at random. $PADDOCK_STRESS_SECONDS says for how long.

setup() {
        work=$(mktemp -d /var/tmp/paddock-living.XXXXXX)
        cd "$work"
        export HOME=$work/home XDG_STATE_HOME=$work/state
        mkdir "$HOME"
        mkdir -m 700 "$XDG_STATE_HOME"
}

teardown() {
        chmod -R u+rwX "$work"
        rm -rf "$work"
}

@test "environments that live: whatever happens in whatever order, nothing hangs and nothing is left" {
        cd "$HOME"
        run timeout 600 python3 "$BATS_TEST_DIRNAME/living.py" "$PADDOCK" "${PADDOCK_STRESS_SECONDS:-20}"
        echo "$output"
        [ "$status" = 0 ]
}

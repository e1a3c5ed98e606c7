#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# grantstress.bats - grants, revokes, enters and kills at random; PADDOCK_STRESS_SECONDS (10) says for how long.

load common
load grants
setup_file() { :; }
teardown_file() { :; }
eval "original_$(declare -f teardown)"
teardown() { end_web; original_teardown; }

@test "grants at random: what was promised holds at every moment" {
        needs_fuse
        web
        warden=$(warden_of web) first=$(first_of web)
        run python3 "$BATS_TEST_DIRNAME/grantstress.py" "$PADDOCK" "$HOME" "$OUT" "${PADDOCK_STRESS_SECONDS:-10}"
        echo "$output"
        expect_status 0
        for word in grant revoke hold kill; do [[ $output == *"'$word'"* ]]; done
        # the warden has not grown, and ends at once
        [ "$(awk '/^VmRSS/ { print $2 }' "/proc/$warden/status")" -lt 4000 ]
        SECONDS=0
        "$PADDOCK" stop --now web
        [ "$SECONDS" -lt 2 ]
        nothing_left "$warden" "$first"
        python3 -c 'import json,sys; [json.loads(line) for line in open(sys.argv[1])]' "$XDG_STATE_HOME/paddock/env/web/audit.jsonl"
}

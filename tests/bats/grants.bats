#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# grants.bats - who holds what, and the record of it.

load common
load grants
eval "original_$(declare -f teardown)"
teardown() { end_web; original_teardown; }

@test "grants: who holds what, since when, by whose word, until when, used when" {
        needs_fuse
        mkdir "$OUT/a" "$OUT/b" && echo x >"$OUT/a/f"
        web
        grant "$OUT/a" rw --at "$HOME/a" --for 1h
        grant "$OUT/b" --plain
        run "$PADDOCK" grants web
        expect_status 0
        [ "${#lines[@]}" = 3 ]
        [[ ${lines[1]} =~ ^\ +1\ +tree\ +rw\ +revocable\ +[0-9:]+\ +([0-9-]+\ )?[0-9:]+\ +-\ +$(id -un)\ +$OUT/a\ at\ $HOME/a$ ]]
        [[ ${lines[2]} =~ ^\ +2\ +tree\ +ro\ +plain\ +[0-9:]+\ +-\ +\?\ +$(id -un)\ +$OUT/b$ ]]
        enter cat "$HOME/a/f"
        used() { "$PADDOCK" grants web --json | python3 -c 'import json,sys,time
g = json.load(sys.stdin)
a = g[0]
assert (a["kind"], a["mode"], a["type"], a["id"]) == ("tree", "rw", "revocable", 1), a
assert a["resource"] == sys.argv[1] and a["inside"] == sys.argv[2] and a["active"] is True, a
assert 3500 < a["until"] - a["since"] < 3700, a
assert g[1]["type"] == "plain"
assert abs(a["used"] - time.time()) < 60' "$OUT/a" "$HOME/a"; }
        eventually used
        fails 'which environment' grants
        fails 'there is no environment' grants nobody
}

@test "grants: a thousand of them on one environment" {
        needs_fuse
        for i in $(seq 1000); do mkdir "$OUT/$i"; echo "$i" >"$OUT/$i/f"; done
        web
        for i in $(seq 1000); do grant "$OUT/$i" --at "$HOME/$i"; done >/dev/null
        [ "$("$PADDOCK" grants web | wc -l)" = 1001 ]
        [ "$(enter sh -c "cat $HOME/1/f $HOME/500/f $HOME/1000/f" | tr '\n' ' ')" = '1 500 1000 ' ]
        SECONDS=0
        run take --all
        expect_output 'web: 1000 revoked'
        [ "$SECONDS" -lt 10 ]
        is_not_held "$OUT"
        "$PADDOCK" stop web
}

@test "audit: every grant, refusal, first use, revoke and expiry, a JSON line each, only ever added to" {
        needs_fuse
        mkdir "$OUT/a" && echo x >"$OUT/a/f" && mkdir "$OUT/tab	and \"quote\""
        web
        run "$PADDOCK" logs --audit web
        expect_status 0
        grant "$OUT/a" --at "$HOME/a"
        enter cat "$HOME/a/f"
        take "$OUT/a"
        grant "$OUT/a" --at "$HOME/a" --for 1s
        grant "$OUT/tab	and \"quote\"" --at "$HOME/b"
        fails 'granted already' grant web "$OUT/a" --at "$HOME/b"
        eventually audit_has expired
        "$PADDOCK" restart web
        grant "$OUT/a" --at "$HOME/a"
        "$PADDOCK" logs --audit web | python3 -c 'import json,sys
events = [json.loads(line) for line in sys.stdin]
words = [e["event"] for e in events]
assert words == ["granted", "used", "revoked", "granted", "granted", "refused", "expired", "granted"] or \
       words == ["granted", "used", "revoked", "granted", "granted", "expired", "refused", "granted"], words
assert events[1]["text"].startswith("cat "), events[1]
assert all(e["time"].endswith("Z") for e in events)
assert events[2]["ended-by"] and events[0]["by"]
assert "quote" in events[4]["resource"]'
        [ "$("$PADDOCK" logs --audit -n 2 web | wc -l)" = 2 ]
        # nothing inside sees it
        [ -z "$(enter ls "$XDG_STATE_HOME/paddock" 2>/dev/null)" ]
}

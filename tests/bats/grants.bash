# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# grants.bash - what the tests of grants share. The environment "web" sees an empty $HOME; what is granted lies there and in $OUT.
#
#   web [LINE...]           makes and starts it, with these lines in its description
#   enter COMMAND...        in it
#   $RELAY_TOOL             servers/socket-relay/tests/tool.c; $HELD: servers/files-grant/tests/held.c

setup_file()
{
        local servers=$BATS_TEST_DIRNAME/../../servers

        TOOLS=$(mktemp -d "${TMPDIR:-/var/tmp}/grant-tools.XXXXXX")
        RELAY_TOOL=$TOOLS/relay HELD=$TOOLS/held
        export TOOLS RELAY_TOOL HELD
        cc -std=gnu17 -D_GNU_SOURCE -O1 -o "$RELAY_TOOL" "$servers/socket-relay/tests/tool.c" || return 1
        cc -std=gnu17 -D_GNU_SOURCE -O1 -o "$HELD" "$servers/files-grant/tests/held.c" || return 1
        chmod -R 755 "$TOOLS"
}
teardown_file() { rm -rf "$TOOLS"; }

web()
{
        { printf 'name: web\nview: {"%s": empty}\n' "$HOME"; printf '%s\n' "$@"; } >"$PLACE/web.yaml"
        "$PADDOCK" create -f "$PLACE/web.yaml"
        "$PADDOCK" start web
}
enter() { "$PADDOCK" enter web "$@"; }
grant() { "$PADDOCK" grant web "$@"; }
take() { "$PADDOCK" revoke web "$@"; }
needs_fuse() { [ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "no /dev/fuse"; }
audit_has() { grep -qE "$1" "$XDG_STATE_HOME/paddock/env/web/audit.jsonl"; }
# held_by WHAT - a line of `paddock grants` that matches
is_held() { "$PADDOCK" grants web | grep -qE "$1"; }
is_not_held() { ! is_held "$1"; }

# Whatever a test started.
end_web() { [ ! -e "$XDG_STATE_HOME/paddock/env/web" ] || "$PADDOCK" stop --now web 2>/dev/null || true; }

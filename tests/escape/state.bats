#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# state.bats - paddock's own state (layers, descriptions, locks) is visible inside under no rule and by no other name.

load common

# seeing OPTION... - which names of the state are found inside: by what only the state has.
seeing()
{
        attack inside "$@" sh -c 'find '"$PLACE"' \( -name alive.lock -o -name setup.lock -o -name canary -o -name upper \) \
                -print 2>/dev/null'
        held
}

prepare()
{
        inside -n other sh -c 'echo x >~/canary'
        [ -n "$(find "$XDG_STATE_HOME" -name canary 2>/dev/null)" ]
}

@test "state: invisible under every rule" {
        prepare
        seeing
        for rule in --private --mirror --share; do
                seeing "$rule" "$PLACE"
                seeing "$rule" "$XDG_STATE_HOME"
                seeing "$rule" /
                seeing "$rule" /var/tmp
        done
        for source in "$PLACE" "$XDG_STATE_HOME"; do
                attack inside --from "/tmp/elsewhere=$source" find /tmp/elsewhere -name canary
                held
                attack inside --union "/tmp/elsewhere=$source:/usr/share" find /tmp/elsewhere -name canary
                held
                attack inside --root "$source" --mirror /usr --mirror /bin --mirror /lib --mirror /lib64 \
                        /usr/bin/find / -xdev -name canary
                [ -z "$output" ]
        done
}

@test "state: no rule leads into it" {
        prepare
        for kind in private mirror share; do
                attack inside "--$kind" "$XDG_STATE_HOME/paddock/env/other" true
                [ "$status" = 125 ]
                attack inside "--$kind" "$XDG_STATE_HOME/paddock" true
                [ "$status" = 125 ]
        done
        attack inside --from "/tmp/elsewhere=$XDG_STATE_HOME/paddock/env" true
        [ "$status" = 125 ]
        attack inside --root "$XDG_STATE_HOME/paddock/env" --mirror /usr --mirror /lib --mirror /lib64 /usr/bin/find /other -name canary
        [ "$status" = 125 ] || [ -z "$output" ] || { echo "--root in the state: $output" >&2; return 1; }
        ln -s "$XDG_STATE_HOME/paddock/env" "$OUT/link"
        attack inside --share "$OUT/link" true
        [ "$status" = 125 ]
        attack inside --from "/tmp/elsewhere=$OUT/link/other" true
        [ "$status" = 125 ]
}

@test "state: invisible through a link to its directory" {
        prepare
        mv "$XDG_STATE_HOME" "$PLACE/real"
        ln -s "$PLACE/real" "$XDG_STATE_HOME"
        for rule in --private --mirror --share; do
                seeing "$rule" "$PLACE"
        done
}

# aliased COMMAND... - under every rule: what it mounts a directory of the state on, by `mount --bind`, shows nothing.
aliased()
{
        prepare
        mkdir "$OUT/alias"
        for source in "$PLACE" "$XDG_STATE_HOME" "$XDG_STATE_HOME/paddock" "$XDG_STATE_HOME/paddock/env" \
                "$XDG_STATE_HOME/paddock/env/other"; do
                for rule in --private --mirror --share; do
                        attack "$@" sh -c 'mount --bind "$1" "$OUT/alias" && exec "$PADDOCK" run "$2" "$OUT" \
                                find "$OUT/alias" -name canary' sh "$source" "$rule"
                        [ "$status" = 125 ] || held || { echo "alias of $source, $rule" >&2; return 1; }
                done
        done
}

@test "state: invisible through another mount of its file system" {
        unshare -Urm true || skip "no user namespaces"
        is_root && skip "the namespace would not be the main system's"
        aliased unshare -Urm
}

@test "state: the same when the machine's root binds it" {
        is_root || skip "needs root"
        aliased unshare -m
}

@test "state: the layer of the running environment has no second name" {
        for rule in --private --mirror --share; do
                attack inside "$rule" "$OUT" sh -c 'echo x >/tmp/needle-$$; find / -name "needle-$$" -not -path "/proc/*" \
                        2>/dev/null | grep -v "^/tmp/needle"'
                [ -z "$output" ] || { echo "$output" >&2; return 1; }
        done
}

@test "state: a layer renamed around it inside shows nothing" {
        prepare
        attack inside -n x sh -c 'mv "$XDG_STATE_HOME" "$PLACE/moved" 2>/dev/null; mv "$XDG_STATE_HOME/paddock" "$PLACE/moved2" 2>/dev/null
                find "$PLACE" -name canary'
        held
        attack inside -n x sh -c 'find "$PLACE" -name canary'
        [ "$status" = 125 ] || held
}

@test "state: other state directories of the same user stay closed for writing" {
        prepare
        before=$(snapshot "$XDG_STATE_HOME/paddock/env/other/layer" 2>/dev/null)
        old=$XDG_STATE_HOME
        attack env XDG_STATE_HOME="$PLACE/second" "$PADDOCK" run sh -c "find '$old' -name canary -exec sh -c 'echo y >>\$1' sh {} \;"
        [ "$(snapshot "$old/paddock/env/other/layer" 2>/dev/null)" = "$before" ]
}

# What a hostile program does to a share happens outside: it may move the directories above the state. The next run must not
# see the state under its new name.
@test "state: a share above it, renamed by one run, does not show it to the next" {
        prepare
        inside --share "$PLACE" sh -c 'mv "$XDG_STATE_HOME" "$PLACE/moved"; mkdir -m 700 "$XDG_STATE_HOME"' || true
        seeing --share "$PLACE"
}

@test "state: set-uid programs in a layer are out of everybody's reach" {
        inside -n x sh -c 'cp /bin/sh ~/sh && chmod 4755 ~/sh'
        found=$(find "$XDG_STATE_HOME" -name sh -perm -4000 2>/dev/null || true)
        [ -n "$found" ]
        [ "$(stat -c %a "$XDG_STATE_HOME/paddock")" = 700 ]
        if is_root; then
                [ "$(stat -c %u "$found")" -ge 65536 ] # nobody's
                not su -s /bin/sh nobody -c "$found -c id"
        fi
}

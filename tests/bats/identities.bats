#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# identities.bats - rights of single users inside: a group for each resource, and an identity that holds a set. See doc/grants.md.

load common
load grants
setup_file() { :; }
teardown_file() { :; }
eval "original_$(declare -f teardown)"
teardown()
{
        "$PADDOCK" stop --now lab 2>/dev/null || true
        "$PADDOCK" rm lab 2>/dev/null || true
        original_teardown
}

lab()
{
        needs_fuse
        is_root || command -v newuidmap >/dev/null || skip "no newuidmap"
        is_root || grep -q "^$(id -un):" /etc/subuid || skip "no subordinate ids"
        chmod 755 "$PLACE" "$OUT" "$HOME"
        "$PADDOCK" create --as root lab
        "$PADDOCK" start lab
        "$PADDOCK" enter lab sh -c 'for u in chat-app mail-app other; do useradd -m "$u"; done; groupadd papers; mkdir -p /srv/a /srv/b'
        mkdir "$OUT/a" "$OUT/b" && echo a >"$OUT/a/f" && echo b >"$OUT/b/f"
}
as() { "$PADDOCK" enter lab --as "$@"; }

@test "--to a user: that identity has it, and no other; the kernel checks it" {
        lab
        run "$PADDOCK" grant lab "$OUT/a" rw --at /srv/a --to chat-app
        expect_status 0
        expect_match 'to chat-app'
        [ "$(as chat-app cat /srv/a/f)" = a ]
        as chat-app sh -c 'echo new >/srv/a/g'
        [ "$(cat "$OUT/a/g")" = new ]
        [ "$(stat -c %u "$OUT/a/g")" = "$(id -u)" ]
        for file in /srv/a/f /srv/a/g; do
                run as other cat $file
                expect_match 'Permission denied'
        done
        # what is cached does not help the other
        [ "$(as chat-app cat /srv/a/f)" = a ]
        run as other cat /srv/a/f
        expect_match 'Permission denied'
        run "$PADDOCK" revoke lab --to chat-app "$OUT/a"
        expect_output 'lab: 1 revoked'
        not as chat-app cat /srv/a/f 2>/dev/null
}

@test "a group for each resource: union to add, free to drop" {
        lab
        "$PADDOCK" grant lab "$OUT/a" --at /srv/a --to papers
        not as mail-app cat /srv/a/f 2>/dev/null
        as root usermod -aG papers mail-app
        [ "$(as mail-app cat /srv/a/f)" = a ]
        not as chat-app cat /srv/a/f 2>/dev/null
        # dropped by the program itself, for good
        run as mail-app python3 -c 'import os
print(open("/srv/a/f").read().strip())
os.setresgid(os.getgid(), os.getgid(), os.getgid())
try: os.setgroups([])
except PermissionError: print("only root drops all")'
        expect_match '^a'
        run as root setpriv --reuid mail-app --regid mail-app --clear-groups cat /srv/a/f
        expect_match 'Permission denied'
        as root gpasswd -d mail-app papers
        not as mail-app cat /srv/a/f 2>/dev/null
}

@test "an identity that holds a set" {
        lab
        export XDG_CONFIG_HOME=$PLACE/config
        mkdir -p "$XDG_CONFIG_HOME/paddock"
        printf 'chat-things: [{path: %s/a, at: /srv/a}, {path: %s/b, at: /srv/b, mode: rw}]\n' "$OUT" "$OUT" >"$XDG_CONFIG_HOME/paddock/grants.yaml"
        "$PADDOCK" grant lab chat-things --to chat-app --keep
        [ "$(as chat-app cat /srv/a/f /srv/b/f | tr '\n' ' ')" = 'a b ' ]
        as chat-app sh -c 'echo more >>/srv/b/f'
        not as other cat /srv/b/f 2>/dev/null
        "$PADDOCK" restart lab
        [ "$(as chat-app cat /srv/a/f)" = a ]
        not as other cat /srv/a/f 2>/dev/null
        run "$PADDOCK" revoke lab chat-things
        expect_output 'lab: 2 revoked'
}

@test "--to: what it needs" {
        lab
        fails "neither a user nor a group 'nobody-here'" grant lab "$OUT/a" --to nobody-here --at /srv/a
        fails 'only a revocable grant' grant lab "$OUT/a" --to chat-app --at /srv/a --plain
        fails 'cannot name an identity' grant lab "$OUT/a" --to 'a b'
        is_root && return
        web
        fails 'has one user only' grant web "$OUT/a" --to chat-app
}

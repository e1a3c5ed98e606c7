# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# uplink.bash - what tests of networks share: a machine of their own, with a world behind it (bed.sh).

needs_uplink()
{
        [ -x /usr/bin/pasta ] || skip "needs pasta (package passt)"
        [ -r /dev/net/tun ] && [ -w /dev/net/tun ] || skip "needs /dev/net/tun"
        # As root, environments have other ids.
        ! is_root || [ "$(stat -c %a /dev/net/tun)" = 666 ] || skip "needs a /dev/net/tun that all may open"
        command -v ip >/dev/null || skip "needs ip (package iproute2)"
}

# bed COMMAND... - runs it on that machine; $PLACE/hits says what reached its loopback services. With $bed_root it stays root of that machine.
bed()
{
        local user=() uid gid

        uid=$(id -u) gid=$(id -g)
        [ -z "${bed_root:-}" ] || uid=0

        is_root || user=(-Ur)
        rm -f "$PLACE/world" "$PLACE/host"
        timeout -k 1 "${bed_time:-60}" unshare "${user[@]}" -nmpf --kill-child --mount-proc \
                sh "$BATS_TEST_DIRNAME/${BED_TOOLS:-.}/bed.sh" "$PLACE" "$uid" "$gid" "$@" 3>&- 4>&-
}

# unhit - nothing on the machine's loopback was reached.
unhit()
{
        [ ! -s "$PLACE/hits" ] || { echo "REACHED: $(cat "$PLACE/hits")" >&2; return 1; }
}

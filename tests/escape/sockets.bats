#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# sockets.bats - by default no UNIX socket that a process outside listens on can be reached, whatever it is called and
# however it is shown, unless a rule shares it.

load common

setup_file() { build sock; }

# served TYPE NAME [COMMAND...] - something listens there (started through COMMAND).
served()
{
        local type=$1 name=$2

        shift 2
        tool sock
        rm -f "$PLACE/said"
        start "$@" "$TOOLS/sock" listen "$type" "$name" >"$PLACE/said"
        eventually listening "$PLACE/said"
        [[ $name != /* ]] || chmod 777 "$name"
}

# visited TYPE NAME OPTION... - is it reached from inside?
unreached()
{
        local type=$1 name=$2

        shift 2
        attack inside "$@" "$TOOLS/sock" visit "$type" "$name"
        held
}

@test "sockets: a path in the home directory, /tmp and /var/tmp" {
        for type in stream dgram seqpacket; do
                served "$type" "$HOME/s.$type"
                unreached "$type" "$HOME/s.$type"
                served "$type" "/tmp/paddock-test.$$.$type"
                unreached "$type" "/tmp/paddock-test.$$.$type"
                rm -f "/tmp/paddock-test.$$.$type"
        done
}

@test "sockets: a shared one is reached, so that these tests mean something" {
        served stream "$OUT/s"
        attack inside --share "$OUT" "$TOOLS/sock" visit stream "$OUT/s"
        [ "$output" = "reached $OUT/s" ]
}

@test "sockets: a path in a mirror" {
        mkdir "$OUT/d"
        for type in stream dgram seqpacket; do
                served "$type" "$OUT/d/s.$type"
                unreached "$type" "$OUT/d/s.$type" --mirror "$OUT"
                unreached "$type" "$OUT/d/s.$type" --mirror "$OUT/d"
        done
}

@test "sockets: a path shown from elsewhere" {
        mkdir "$OUT/d"
        served stream "$OUT/d/s"
        unreached stream /tmp/there/s --from "/tmp/there=$OUT/d"
        unreached stream /tmp/there/s --union "/tmp/there=$OUT/d:/usr/share"
}

@test "sockets: one in a mirror that was bound by a relative name" {
        mkdir "$OUT/d"
        cd "$OUT/d"
        served stream s
        chmod 777 s
        unreached stream "$OUT/d/s" --mirror "$OUT/d"
}

@test "sockets: one in a mirror that was bound under another name of its directory" {
        mkdir "$OUT/d"
        ln -s "$OUT/d" "$OUT/link"
        served stream "$OUT/link/s"
        unreached stream "$OUT/d/s" --mirror "$OUT/d"
        mv "$OUT/d" "$OUT/renamed"
        unreached stream "$OUT/renamed/s" --mirror "$OUT/renamed"
}

@test "sockets: one in a mirror that has another hard link" {
        mkdir "$OUT/d"
        served stream "$OUT/d/s"
        ln "$OUT/d/s" "$OUT/d/t"
        unreached stream "$OUT/d/t" --mirror "$OUT/d"
}

# /proc/net/unix lists the sockets of one network namespace; names are common to all.
@test "sockets: one in a mirror whose owner is in another network namespace" {
        unshare -Urn true || skip "no user namespaces"
        mkdir "$OUT/d"
        served stream "$OUT/d/s" unshare -Urn
        unreached stream "$OUT/d/s" --mirror "$OUT/d"
}

@test "sockets: /tmp as a mirror" {
        served stream "/tmp/paddock-test.$$"
        status=0
        unreached stream "/tmp/paddock-test.$$" --mirror /tmp || status=1
        rm -f "/tmp/paddock-test.$$"
        [ "$status" = 0 ]
}

@test "sockets: the whole system as a mirror" {
        mkdir "$OUT/d"
        served stream "$OUT/d/s"
        unreached stream "$OUT/d/s" --mirror /
}

@test "sockets: one that is made in a mirror while the environment lives" {
        mkdir "$OUT/d"
        tool sock
        start inside --mirror "$OUT/d" sh -c "sleep 1; $TOOLS/sock visit stream $OUT/d/late" >"$PLACE/inside"
        visitor=$started
        sleep 0.4
        served stream "$OUT/d/late"
        wait "$visitor"
        [ ! -s "$PLACE/inside" ] || { cat "$PLACE/inside" >&2; return 1; }
}

@test "sockets: abstract names" {
        # Landlock has scopes since Linux 6.12.
        printf "6.12\n%s\n" "$(uname -r)" | sort -V -C || skip "this kernel cannot scope abstract sockets"
        for type in stream dgram seqpacket; do
                served "$type" "@paddock-test-$$-$type"
                unreached "$type" "@paddock-test-$$-$type"
                unreached "$type" "@paddock-test-$$-$type" --share /tmp
                attack inside unshare -Ur "$TOOLS/sock" visit "$type" "@paddock-test-$$-$type"
                [ -z "$output" ]
                attack inside "$PADDOCK" run "$TOOLS/sock" visit "$type" "@paddock-test-$$-$type"
                [ -z "$output" ]
        done
}

@test "sockets: /run, the session and what lives there" {
        # what is mirrored there (place.c) shows its sockets, but an overlay severs them: see the mirrors above
        attack inside sh -c 'find /run/ /var/run/ -type s -o -type p | grep -vE "^(/var)?/run/(udev|systemd/resolve|NetworkManager|resolvconf)/" | head'
        [ -z "$output" ]
        mkdir -m 700 "$PLACE/runtime"
        served stream "$PLACE/runtime/bus"
        XDG_RUNTIME_DIR=$PLACE/runtime unreached stream "$PLACE/runtime/bus"
        if is_root; then
                mkdir "/run/paddock-test.$$"
                served stream "/run/paddock-test.$$/s"
                status=0
                unreached stream "/run/paddock-test.$$/s" || status=1
                unreached stream "/var/run/paddock-test.$$/s" || status=1
                rm -rf "/run/paddock-test.$$"
                [ "$status" = 0 ]
        fi
}

# A service that takes orders through a fifo is as good as one behind a socket.
@test "sockets: a fifo in a mirror" {
        mkdir "$OUT/d"
        mkfifo "$OUT/d/orders"
        chmod 666 "$OUT/d/orders"
        start cat "$OUT/d/orders" >"$PLACE/said"
        sleep 0.2
        attack inside --mirror "$OUT/d" timeout 1 sh -c "echo reached >'$OUT/d/orders'"
        sleep 0.2
        [ ! -s "$PLACE/said" ] || { echo "ESCAPED: a service outside got an order" >&2; return 1; }
}

@test "sockets: a fifo in a layer" {
        mkdir "$OUT/d"
        mkfifo -m 666 "$OUT/d/orders"
        start cat "$OUT/d/orders" >"$PLACE/said"
        sleep 0.2
        attack inside timeout 1 sh -c "echo reached >'$OUT/d/orders'"
        sleep 0.2
        [ ! -s "$PLACE/said" ]
}

@test "sockets: with a network of its own, /proc tells nothing of the sockets outside, that of no process" {
        served stream "@paddock-seen.$$"
        grep -q "paddock-seen.$$" /proc/net/unix
        for as in self root; do
                # shellcheck disable=SC2016 # it is the shell inside that expands this
                attack inside --as "$as" --net none sh -c 'cat /proc/[0-9]*/net/unix /proc/[0-9]*/task/*/net/unix | grep "$1"' sh "paddock-seen.$$"
                held
        done
        printf 'network: none\n' >"$PLACE/none.yaml"
        "$PADDOCK" create -f "$PLACE/none.yaml" none
        "$PADDOCK" start none
        attack "$PADDOCK" enter none sh -c 'cat /proc/[0-9]*/net/unix | grep "$1"' sh "paddock-seen.$$"
        held
        "$PADDOCK" stop --now none
}

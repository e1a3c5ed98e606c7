#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# bed.sh DIRECTORY UID GID COMMAND... - runs a command on a machine that is made for it: a network with an address, a default route,
# and a world behind it (198.51.100.7 and 2001:db8:1::7), with the services of services.py in both. Started as root of
# fresh user, network, mount and process namespaces (see uplink.bash), it gives the command the ids that its user had.
set -e
here=$(dirname "$0") place=$1 uid=$2 gid=$3
shift 3
ip link set lo up
unshare -n sleep 600 &
world=$!
while [ "$(readlink /proc/$world/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
in_world() { nsenter -t "$world" -n "$@"; }
ip link add up0 type veth peer name w0
ip link set w0 netns "$world"
ip addr add 192.0.2.2/24 dev up0
ip -6 addr add 2001:db8::2/64 dev up0 nodad
ip link set up0 up
in_world ip link set lo up
in_world ip addr add 192.0.2.1/24 dev w0
in_world ip -6 addr add 2001:db8::1/64 dev w0 nodad
in_world ip link set w0 up
in_world ip addr add 198.51.100.7/32 dev lo
in_world ip -6 addr add 2001:db8:1::7/128 dev lo
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8::1
[ ! -e "$place/resolv.conf" ] || mount --bind "$place/resolv.conf" /etc/resolv.conf
: >"$place/hits"
chmod 666 "$place/hits"
in_world python3 "$here/services.py" world "$place/world" "$place/hits" &
python3 "$here/services.py" host "$place/host" "$place/hits" &
until [ -e "$place/world" ] && [ -e "$place/host" ]; do sleep 0.02; done
export WORLD=$world
if [ "$uid" = 0 ]; then
        exec "$@"
fi
exec unshare -U --map-user="$uid" --map-group="$gid" "$@"

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ipc.bats - memory, queues, semaphores and keys of outside have no name inside.

load common

setup_file() { build ipc; }

made()
{
        tool ipc
        id=$((BASHPID % 100000))
        serial=$("$TOOLS/ipc" make "$id" 2>/dev/null)
}

@test "ipc: the attack works without paddock" {
        made
        attack "$TOOLS/ipc" take "$id" "$serial"
        "$TOOLS/ipc" unmake "$id"
        [[ $output == *"System V shared memory"* ]]
        [[ $output == *"POSIX shared memory"* ]]
}

@test "ipc: System V objects, POSIX queues, shared memory, keys" {
        made
        attack inside "$TOOLS/ipc" take "$id" "$serial"
        "$TOOLS/ipc" unmake "$id"
        held
}

@test "ipc: the same from a nested environment and a nested user namespace" {
        made
        attack inside "$PADDOCK" run "$TOOLS/ipc" take "$id" "$serial"
        first=$output
        attack inside unshare -Ur "$TOOLS/ipc" take "$id" "$serial"
        "$TOOLS/ipc" unmake "$id"
        output+=$first
        held
}

@test "ipc: two runs of one name keep theirs apart from the main system" {
        made
        start inside -n x sleep 20
        eventually init_of "$started"
        sleep 0.2
        attack inside -n x "$TOOLS/ipc" take "$id" "$serial"
        "$TOOLS/ipc" unmake "$id"
        held
}

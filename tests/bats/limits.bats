#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What an environment may use: `limits:` and --limit, each enforced or watched, and told which. The same tests run where a cgroup
# can be had (enforced) and where none can (watched).

load common

setup_file() { export BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-60}; }

# with_bus COMMAND... - with the way to the user's manager that a login session has.
with_bus() { XDG_RUNTIME_DIR=/run/user/$(id -u) "$@"; }

# Can a cgroup be had here? As doctor says, or as a scope of the user's manager.
enforced()
{
        [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] && with_bus systemd-run --user --scope --quiet true 2>/dev/null
}

# grow MIB - a program that takes so much memory, says so, and stays.
grow() { echo "import sys, time; x = bytearray($1 << 20); print('grown', flush=True); time.sleep(${2:-30})"; }

@test "limits: open files of each process are limited, and nobody inside raises that" {
        run inside --limit files=64 -- python3 -c '
import os, resource
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
except (ValueError, PermissionError):
    print("refused")
n = 0
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
        n += 1
except OSError as e:
    print(e.strerror, n > 50 and n < 64)'
        expect_output $'refused\nToo many open files True'
        run inside --as root --limit files=64 -- sh -c 'ulimit -n; ulimit -n 128 || echo refused'
        expect_match $'^64\n.*refused'
}

@test "limits: tasks are limited for all users inside together, and nobody outside" {
        program='
import os, time
n = 0
try:
    while n < 200:
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
        n += 1
except OSError as e:
    print(e.strerror, n)'
        run inside --limit tasks=20 -- python3 -c "$program"
        expect_output 'Resource temporarily unavailable 19'
        run inside --as root --limit tasks=20 -- python3 -c "$program"
        expect_output 'Resource temporarily unavailable 19'
        # In namespaces of its own too.
        run inside --limit tasks=20 -- unshare -Ur python3 -c "$program"
        expect_match 'Resource temporarily unavailable 1[0-9]'
        run inside -- python3 -c "$program"
        expect_output ''
}

@test "limits: a started environment holds them for what enters it, and stop ends it at its limit" {
        printf 'name: herd\nlimits: {tasks: 12, files: 40}\nrun:\n  - [sh, -c, "while :; do sleep 100 & done"]\n' >herd.yaml
        "$PADDOCK" create -f herd.yaml
        "$PADDOCK" start herd
        full() { "$PADDOCK" logs herd | grep -q 'annot fork'; }
        eventually full
        run "$PADDOCK" enter herd -- sh -c 'ulimit -n; : $(true)'
        expect_match '^40'
        [ "$("$PADDOCK" ps --json herd | grep -c '"pid"')" -le 14 ]
        before=$SECONDS
        "$PADDOCK" stop --grace 1 herd
        [ $((SECONDS - before)) -lt 20 ]
        is_in_state herd stopped
}

@test "limits: memory is enforced by a cgroup, or watched and told" {
        [ -z "$PADDOCK_VM" ] || enforced # there it is
        if enforced; then
                run with_bus inside --limit memory=64M -- python3 -c "$(grow 160 1)"
                [ "$status" = 137 ]
                [[ $output != *grown* ]]
                with_bus inside --limit memory=256M -- python3 -c "$(grow 64 0)"
        else
                run inside --limit memory=64M -- python3 -c "$(grow 160 3)"
                expect_status 0
                expect_match "have 1[67][0-9] MiB of memory, more than their limit of 64M: watched, not enforced"
                run inside --limit memory=256M -- python3 -c "$(grow 64 3)"
                expect_output grown
        fi
        nothing_left
}

@test "limits: what passes a watched limit on memory is stopped or frozen, if the user says so" {
        # Without the way to a manager nothing enforces it.
        run inside --limit memory=40M --limit over=stop -- python3 -c "$(grow 120 60)"
        expect_status 137
        expect_match 'more than their limit of 40M: it is stopped'
        for over in stop freeze; do
                printf 'name: %s\nlimits: {memory: 40M, over: %s}\nrun:\n  - [python3, -c, "%s"]\n' $over $over "$(grow 120 60)" >d.yaml
                "$PADDOCK" create -f d.yaml
                "$PADDOCK" start $over
        done
        is_said() { "$PADDOCK" logs "$1" | grep -q "more than their limit of 40M: it is $2"; }
        eventually is_said stop stopped
        eventually is_in_state stop stopped
        eventually is_said freeze frozen
        is_frozen() { "$PADDOCK" ps freeze | grep -q ' T .*python3'; }
        eventually is_frozen
        "$PADDOCK" enter freeze -- sh -c 'kill -CONT -1' # the one that is sent takes the sender too, which runs
        not is_frozen
        "$PADDOCK" stop freeze
}

@test "limits: show tells what enforces each, as YAML and JSON" {
        printf 'name: field\nlimits: {disk: 2G, memory: 512M, tasks: 50, cpu: 50, io: 20, files: 256}\n' >d.yaml
        "$PADDOCK" create -f d.yaml
        run "$PADDOCK" show field
        expect_match 'limits: \{disk: 2G, memory: 512M, tasks: 50, cpu: 50, io: 20, files: 256\}'
        expect_match '# limit: disk 2G: watched, not enforced: no user has a quota'
        expect_match '# limit: tasks 50: enforced by the kernel, for its user namespace'
        expect_match '# limit: files 256: enforced by the kernel, for each process'
        if enforced; then
                with_bus "$PADDOCK" start field
                run "$PADDOCK" show field
                expect_match '# limit: memory 512M: enforced by the cgroup /sys/fs/cgroup/.*\.scope/paddock-[0-9]+'
                expect_match '# limit: cpu 50: enforced by the cgroup '
                group=$(sed -n 's/^# limit: memory.*the cgroup //p' <<<"$output")
                [ "$(cat "$group/memory.max")" = 536870912 ]
                [ "$(cat "$group/cpu.weight")" = 50 ]
                grep -qx "$(first_of field)" "$group/init/cgroup.procs"
                # The warden is beside them, and what enters is inside.
                not grep -qx "$(warden_of field)" "$group/init/cgroup.procs"
                "$PADDOCK" enter field -- cat /proc/self/cgroup | grep -q /inside
                # A program that makes a cgroup namespace has its own cgroup as the top of it, which it may freeze. Init is
                # not in that one, and takes rights back and stops.
                [ "$("$PADDOCK" enter field -- unshare -UrmC cat /proc/self/cgroup)" = 0::/ ]
                echo 1 >"$group/inside/cgroup.freeze"
                mkdir papers
                "$PADDOCK" grant field "$PWD/papers"
                "$PADDOCK" revoke field "$PWD/papers"
                "$PADDOCK" stop --grace 1 field
                eventually not exists "$group"
        else
                expect_match '# limit: memory 512M: watched, not enforced: '
                expect_match '# limit: cpu 50: not enforced: '
                "$PADDOCK" start field
                run "$PADDOCK" show --json field
                expect_match '"kind": "watched"'
                expect_match '"kind": "not enforced"'
                expect_match '"kind": "enforced"'
                "$PADDOCK" stop field
        fi
}

@test "limits: options replace those of a description; what is none is refused by name" {
        printf 'name: field\nlimits: {files: 100, tasks: 50}\n' >d.yaml
        "$PADDOCK" create -f d.yaml
        run inside -n field --limit files=60 -- sh -c 'ulimit -n'
        expect_output 60
        run inside -n field -- sh -c 'ulimit -n'
        expect_output 100
        refused "'none' is no size" --limit memory=none
        refused "'0' is not a number of processes" --limit tasks=0
        refused 'takes the form WHAT=VALUE' --limit memory
        refused 'takes the form WHAT=VALUE' --limit swap=1G
        refused "is not tell, stop or freeze" --limit over=kill
}

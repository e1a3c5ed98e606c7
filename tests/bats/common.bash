# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# common.bash - what all command tests share: the program, a place of their own, and checks that nothing is left over.
#
# Each test gets a fresh directory $PLACE on a local disk, with
#
#   $HOME = $PLACE/home          the home directory, where the test starts
#   $XDG_STATE_HOME              $PLACE/state, where paddock keeps its own
#   $OUT = $PLACE/out            a tree that stands for "the main system" in tests of rules
#
# The same tests run as an ordinary user and as root.

bats_require_minimum_version 1.5.0

# The program under test.
PADDOCK=${PADDOCK:-$BATS_TEST_DIRNAME/../../build/src/paddock}
# Not what a developer's PATH finds first: wrappers of it may need their own HOME.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PTY="/usr/bin/python3 $BATS_TEST_DIRNAME/pty.py"

setup()
{
        [ -x "$PADDOCK" ] || { echo "no program $PADDOCK: build it, or set PADDOCK" >&2; return 1; }
        PADDOCK=$(realpath "$PADDOCK")
        PLACE=$(mktemp -d "${PADDOCK_TEST_PLACE:-/var/tmp}/paddock-test.XXXXXX")
        HOME=$PLACE/home
        XDG_STATE_HOME=$PLACE/state
        OUT=$PLACE/out
        mkdir "$HOME" "$OUT"
        mkdir -m 700 "$XDG_STATE_HOME"
        export HOME XDG_STATE_HOME PADDOCK PLACE OUT PATH
        unset XDG_RUNTIME_DIR SSH_AUTH_SOCK DBUS_SESSION_BUS_ADDRESS TMPDIR CDPATH ENV BASH_ENV
        umask 022
        children=()
        cd "$HOME" || return 1
}

teardown()
{
        local pid

        cd / || return 1
        for pid in "${children[@]}"; do
                kill -KILL "$pid" 2>/dev/null || true
                kill -CONT "$pid" 2>/dev/null || true
                wait "$pid" 2>/dev/null || true
        done
        [ -n "$PLACE" ] || return 0
        stop_all
        # A killed environment removes its own directory: give it the time.
        patience=2 eventually no_temporary >/dev/null 2>&1 || true
        chmod -R u+rwX "$PLACE" 2>/dev/null || true
        rm -rf -- "$PLACE"
}

# stop_all - no environment of this test is started any more.
stop_all()
{
        local control

        for control in "$XDG_STATE_HOME"/paddock/env/*/control; do
                [ ! -S "$control" ] || "$PADDOCK" stop --now "$(basename "${control%/control}")" >/dev/null 2>&1 || true
        done
}

# warden_of NAME, first_of NAME - the pids of the warden and of the environment's first process.
first_of() { local record=("$XDG_STATE_HOME/paddock/env/$1/runs/"*) && [ -e "${record[0]}" ] && basename "${record[0]}"; }
warden_of() { local first && first=$(first_of "$1") && awk '/^PPid:/ { print $2 }' "/proc/$first/status"; }
state_of() { "$PADDOCK" list | awk -v name="$1" '$1 == name { print $2 }'; }
is_in_state() { [ "$(state_of "$1")" = "$2" ]; }

is_root() { [ "$(id -u)" = 0 ]; }

# paddock run, shortly.
inside() { "$PADDOCK" run "$@"; }

# start COMMAND... - in the background, away from bats's own descriptors; $! and $started are its pid. `inside` may be the
# command (a function would be a shell of its own).
start()
{
        [ "$1" != inside ] || set -- "$PADDOCK" run "${@:2}"
        "$@" 3>&- 4>&- &
        started=$!
        children+=("$started")
}

# ends_with CODE - waits for what was started last, which ends with this code.
ends_with()
{
        local code=0

        wait "$started" || code=$?
        [ "$code" = "$1" ] || { echo "expected the end with code $1, got $code" >&2; return 1; }
}

# eventually COMMAND... - true as soon as the command is; false when it is not within $patience seconds (an emulated machine
# is slow).
eventually()
{
        local end=$((SECONDS + ${patience:-20}))

        until "$@"; do
                [ "$SECONDS" -lt "$end" ] || { echo "never true: $*" >&2; return 1; }
                sleep 0.02
        done
}

# not COMMAND... - bats takes no notice of a failing `! command`, but of this.
not()
{
        if "$@"; then
                echo "should have failed: $*" >&2
                return 1
        fi
}

exists() { [ -e "$1" ] || [ -L "$1" ]; }
gone() { [ ! -e "/proc/$1" ]; }
# A process that ended but whose parent did not look yet is as good as gone.
ended() { [ ! -e "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status"; }
is_state() { [[ $(sed -n 's/^State:[[:space:]]*//p' "/proc/$1/status") == [$2]* ]]; }
stopped() { is_state "$1" T; }

# init_of PID - the environment's first process, a child of the paddock PID.
init_of()
{
        local child

        for child in $(cat "/proc/$1/task/$1/children"); do
                if [ "$(cat "/proc/$child/comm")" = paddock-init ]; then
                        echo "$child"
                        return
                fi
        done
        return 1
}

# no_temporary - no environment without a name has left anything.
no_temporary() { [ -z "$(ls -A "$XDG_STATE_HOME/paddock/tmp" 2>/dev/null)" ]; }

# nothing_left [PID...] - neither these processes, nor a mount, nor a directory of a temporary environment.
nothing_left()
{
        local pid

        for pid in "$@"; do
                eventually ended "$pid"
        done
        eventually no_temporary
        not grep -F "$PLACE" /proc/self/mountinfo
}

# expect_output TEXT - what `run` caught is exactly this.
expect_output()
{
        [ "$output" = "$1" ] && return
        printf 'expected: %q\n  output: %q\n  status: %s\n' "$1" "$output" "$status" >&2
        return 1
}

expect_status()
{
        [ "$status" = "$1" ] && return
        printf 'expected status %s, got %s; output:\n%s\n' "$1" "$status" "$output" >&2
        return 1
}

# expect_match REGEX - what `run` caught matches it.
expect_match()
{
        [[ $output =~ $1 ]] && return
        printf 'expected a match of: %s\n             output: %s\n' "$1" "$output" >&2
        return 1
}

# refused REGEX OPTION... - `paddock run OPTION... true` fails with 125, a message that matches, and no trace.
refused()
{
        local regex=$1

        shift
        run inside "$@" true
        expect_status 125
        expect_match "$regex"
        [[ $output == paddock:* ]] || { echo "no message of paddock: $output" >&2; return 1; }
        no_temporary
}

# snapshot DIR - everything that can be seen of a tree, as text.
snapshot()
{
        (
                cd "$1" || exit 1
                find . -printf '%p\t%y\t%m\t%u\t%g\t%n\t%s\t%T@\t%l\n' | sort
                find . -type f -readable -print0 | sort -z | xargs -0 -r sha256sum
        )
}

# untouched DIR COMMAND... - runs the command; the tree is then what it was.
untouched()
{
        local dir=$1 before code=0

        shift
        before=$(snapshot "$dir")
        "$@" || code=$?
        diff <(printf '%s\n' "$before") <(snapshot "$dir") >&2 || { echo "changed: $dir" >&2; return 99; }
        return "$code"
}

# fails REGEX ARGUMENT... - `paddock ARGUMENT...` ends with 125 and a message that matches.
fails()
{
        local regex=$1

        shift
        run "$PADDOCK" "$@"
        expect_status 125
        expect_match "$regex"
}

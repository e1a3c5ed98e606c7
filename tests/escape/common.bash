# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# common.bash - what all escape tests share. Each test plays a hostile program inside `paddock run` and fails when it gets
# out. The place of a test is that of tests/bats/common.bash; the attacks that a shell cannot make are small C programs
# beside the tests, compiled once for each file of tests.
#
# Attacks print one line for each thing that worked and nothing otherwise, so that "no output" means that all held.

load ../bats/common

# build NAME... - compiles NAME.c of this directory, static so that it runs under every root; for setup_file. A machine without a
# compiler is given the programs in $ESCAPE_TOOLS.
build()
{
        local name

        for name in "$@"; do
                if [ -n "${ESCAPE_TOOLS:-}" ]; then
                        cp "$ESCAPE_TOOLS/$name" "$BATS_FILE_TMPDIR/$name" || return 1
                        continue
                fi
                cc -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -static -o "$BATS_FILE_TMPDIR/$name" \
                        "$BATS_TEST_DIRNAME/$name.c" || return 1
        done
}

# tool NAME... - puts what build() made where the environment sees it: $PLACE/tools.
tool()
{
        local name

        mkdir -p "$PLACE/tools"
        for name in "$@"; do
                [ -e "$PLACE/tools/$name" ] || cp "$BATS_FILE_TMPDIR/$name" "$PLACE/tools/$name"
        done
        TOOLS=$PLACE/tools
        export TOOLS
}

# attack COMMAND... - runs it with what it says in $output and its status in $status; its complaints are kept aside.
attack()
{
        status=0
        output=$("$@" 2>"$PLACE/complaints" 3>&- 4>&-) || status=$?
}

# held - the last attack got nothing: it ran, and printed nothing.
held()
{
        if [ -n "$output" ]; then
                printf 'ESCAPED:\n%s\n' "$output" >&2
                return 1
        fi
        # Whatever the attack ended with, it must have been started.
        case $status in
        125 | 126 | 127)
                echo "the attack did not run: status $status" >&2
                cat "$PLACE/complaints" >&2
                return 1
                ;;
        esac
}

# listening FILE - the server in the background has said that it is ready.
listening() { grep -q ready "$1" 2>/dev/null; }

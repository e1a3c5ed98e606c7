#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The Python standard library's own tests of files, inside: the same result as outside.

modules='test_os test_posix test_shutil test_tempfile test_pathlib test_mmap'

setup() {
        work=$(mktemp -d /var/tmp/paddock-python.XXXXXX)
        python=/usr/bin/python3
        cd "$work" # the tests write where they are imported
        "$python" -c 'import test.test_os' || { echo "the tests of the standard library are missing: make deps" >&2; return 1; }
}

teardown() {
        rm -rf "$work"
}

# One name a line with its outcome, sorted.
outcomes() {
        sed -n 's/^\(test_[A-Za-z0-9_]*\) (\([^)]*\)).*\.\.\. \(ok\|FAIL\|ERROR\|skipped\).*/\2.\1 \3/p' "$1" | sort
}

@test "the file tests of Python end inside as outside" {
        # With one id, other owners do not exist inside, so that giving a file to one is EINVAL and not EPERM: the one
        # difference, checked by itself below.
        "$python" -m test -v -i test_chown_without_permission $modules >outside 2>&1 || true
        "$PADDOCK" run "$python" -m test -v -i test_chown_without_permission $modules >inside 2>&1 || true
        outcomes outside >outside.list
        outcomes inside >inside.list
        [ "$(wc -l <outside.list)" -gt 900 ]
        diff outside.list inside.list
}

@test "giving a file away: refused outside for lack of permission, inside because the owner does not exist" {
        [ "$(id -u)" != 0 ] || skip "root may give files away, inside too: 65,536 ids exist there"
        touch file
        run "$python" -c 'import os; os.chown("file", 1, -1)'
        [[ "$output" == *"PermissionError"* ]]
        run "$PADDOCK" run "$python" -c 'import os; os.chown("file", 1, -1)'
        [[ "$output" == *"OSError: [Errno 22]"* ]]
}

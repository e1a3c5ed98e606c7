#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The Python standard library's own tests of files as root inside: the same result as for root of a user namespace with the same ids
# outside, with the one difference that is listed here.

load root

modules='test_os test_posix test_shutil test_tempfile test_pathlib test_mmap test_fcntl test_tarfile test_filecmp test_fileio
        test_posixpath test_mailbox'

# test_os.TestScandir.test_attributes: the inode number that a listing gives for a new file is not the one that stat gives, because the
# layer and the main system below it are two file systems to the overlay.
differ='^test\.test_os\.TestScandir\.test_attributes\.test_attributes '

setup_file()
{
        root_prepare
        /usr/bin/python3 -c 'import test.test_os' || { echo "the tests of the standard library are missing: make deps" >&2; return 1; }
}
teardown_file() { root_end; }

outcomes()
{
        sed -n 's/^\(test_[A-Za-z0-9_]*\) (\([^)]*\)).*\.\.\. \(ok\|FAIL\|ERROR\|skipped\).*/\2.\1 \3/p' "$1" | sort
}

@test "python: its file tests end for root inside as they do outside" {
        mkdir outside inside
        # shellcheck disable=SC2086
        (cd outside && unshare --user --map-auto --map-root-user --mount --pid --fork --mount-proc /usr/bin/python3 -m test -v $modules) \
                >outside.log 2>&1 || true
        # shellcheck disable=SC2086
        (cd inside && paddock run --as root -- /usr/bin/python3 -m test -v $modules) >inside.log 2>&1 || true
        outcomes outside.log >outside.list
        outcomes inside.log >inside.list
        [ "$(wc -l <outside.list)" -gt 1800 ]
        diff <(grep -v "$differ" outside.list) <(grep -v "$differ" inside.list)
}

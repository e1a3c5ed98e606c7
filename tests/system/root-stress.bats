#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# stress-ng's file stressors as root inside: they verify what they do, and nothing outside changes.

load root

setup_file() { root_prepare; }
teardown_file() { root_end; }

@test "stress-ng: its file stressors run to the end for root inside" {
        command -v stress-ng || { echo "stress-ng is missing: make deps" >&2; return 1; }
        mkdir before
        echo untouched >before/file
        stressors='access acl chdir chmod chown copy-file dentry dir dirdeep dirmany dup fallocate fcntl file-ioctl filename flock
                fpunch fstat getdent hdd inotify io iomix lease link locka lockf lockofd mknod mmap open readahead rename seek
                sendfile symlink sync-file touch unlink utime xattr'
        arguments=
        for stressor in $stressors; do
                ! stress-ng --help | grep -q -- "--$stressor N" || arguments="$arguments --$stressor 1"
        done
        [ "$(printf '%s' "$arguments" | wc -w)" -gt 60 ]
        # shellcheck disable=SC2086
        run paddock run --as root -- stress-ng --temp-path "$SPOT/before" --hdd-bytes 16m --iomix-bytes 16m --verify --timeout 6 $arguments
        echo "$output" | tail -20
        [ "$status" = 0 ]
        [ "$(ls before)" = file ] && [ "$(cat before/file)" = untouched ]
}

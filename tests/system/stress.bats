#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# stress-ng's file stressors in a private layer: they verify what they do, and nothing outside changes.

setup() {
        work=$(mktemp -d /var/tmp/paddock-stress.XXXXXX)
        command -v stress-ng || { echo "stress-ng is missing: make deps" >&2; return 1; }
        cd "$work"
        echo untouched >before
}

teardown() {
        rm -rf "$work"
}

@test "stress-ng's file stressors run to the end in a layer" {
        stressors='access chdir chmod copy-file dentry dir dirdeep dup fallocate fcntl file-ioctl filename flock fpunch
                fstat getdent hdd io link lockf lockofd mmap open readahead rename seek symlink sync-file touch unlink utime xattr'
        arguments=
        for stressor in $stressors; do
                stress-ng --help | grep -q -- "--$stressor N" && arguments="$arguments --$stressor 1"
        done
        [ "$(printf '%s' "$arguments" | wc -w)" -gt 40 ]
        # shellcheck disable=SC2086
        run "$PADDOCK" run stress-ng --temp-path "$work" --hdd-bytes 16m --verify --timeout 6 $arguments
        echo "$output" | tail -20
        [ "$status" = 0 ]
        [ "$(ls "$work")" = before ] && [ "$(cat before)" = untouched ]
}

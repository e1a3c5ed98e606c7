#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# living.bats - rules of the view that come and go while programs live in it.

load common

# begin [OPTION...] - the environment web, started, with a tree outside.
begin()
{
        mkdir -p "$OUT/a/deep" "$OUT/b"
        echo outside >"$OUT/a/f"
        echo below >"$OUT/a/deep/g"
        echo other >"$OUT/b/f"
        "$PADDOCK" create "$@" web
        "$PADDOCK" start web
}

view() { "$PADDOCK" view web "$@"; }
enter() { "$PADDOCK" enter web "$@"; }
in_sh() { enter sh -c "$1"; }

# Real root's view waits for the next start, and says so.
ordinary() { ! is_root || skip "real root's view cannot change while it runs"; }

@test "view: rules are listed, and a stopped environment says how to change them" {
        "$PADDOCK" create web
        run view
        expect_status 0
        expect_output ''
        run view add share "$OUT"
        expect_status 125
        expect_match "'web' is not started"
        expect_match '--keep'
        run view --keep add share "$OUT" hide /etc/hosts
        expect_status 0
        run view
        expect_match "share    $OUT"
        expect_match 'hide     /etc/hosts'
        run sh -c '"$PADDOCK" view --json web | tr -d " \n"'
        expect_output "[{\"rule\":\"share\",\"path\":\"$OUT\"},{\"rule\":\"hide\",\"path\":\"/etc/hosts\"}]"
        run view --keep rm /etc/hosts
        expect_status 0
        run "$PADDOCK" show web
        expect_match "$OUT: share"
        [[ $output != *hosts* ]]
}

@test "view: mistakes change nothing" {
        ordinary
        begin
        for words in "add shar $OUT/a" "add share $OUT/none" "rm $OUT/a" "add share /" "add hide /proc" "add from $OUT/a" \
                "add share $OUT/a hide"; do
                # shellcheck disable=SC2086
                run view $words
                [ "$status" -ge 64 ]
        done
        run view add shar "$OUT/a"
        expect_match "did you mean 'share'?"
        run view
        expect_output ''
        run in_sh "echo x >$OUT/a/f && cat $OUT/a/f"
        expect_output x
        [ "$(cat "$OUT/a/f")" = outside ]
}

@test "view: a tree is shared and private again, and what the layer had is there again" {
        ordinary
        begin
        in_sh "echo mine >$OUT/a/f"
        run view add share "$OUT/a"
        expect_status 0
        expect_output ''
        run in_sh "cat $OUT/a/f; echo through >$OUT/a/f; cat $OUT/a/deep/g"
        expect_output "outside
below"
        [ "$(cat "$OUT/a/f")" = through ]
        run view
        expect_match "share    $OUT/a"
        expect_match 'until it stops'
        view rm "$OUT/a"
        run in_sh "cat $OUT/a/f; echo again >$OUT/a/f"
        expect_output mine
        [ "$(cat "$OUT/a/f")" = through ]
        view add share "$OUT/a" # and once more, and back
        view rm "$OUT/a"
        run enter cat "$OUT/a/f"
        expect_output again
}

@test "view: every rule, one over the other, in a program that lives all the time" {
        ordinary
        begin
        mkfifo "$OUT/ask" "$OUT/tell"
        view add share "$OUT/ask" share "$OUT/tell"
        in_sh "while read -r line <$OUT/ask; do eval \"\$line\" >$OUT/tell 2>&1; done" 3>&- &
        children+=($!)
        say() { echo "$1" >"$OUT/ask" && timeout 10 cat "$OUT/tell"; }
        [ "$(say "cat $OUT/a/f")" = outside ]
        view add mirror "$OUT/a"
        [[ $(say "{ echo x >$OUT/a/f; } 2>&1") == *ead-only* ]]
        view add empty "$OUT/a"
        [ "$(say "ls $OUT/a; echo y >$OUT/a/new; cat $OUT/a/new")" = y ]
        view add from "$OUT/a=$OUT/b"
        [ "$(say "cat $OUT/a/f; echo z >$OUT/a/f; cat $OUT/a/f")" = "other
z" ]
        view add hide "$OUT/a/f"
        [[ $(say "cat $OUT/a/f 2>&1; true") != *other* ]]
        view rm "$OUT/a/f" "$OUT/a"
        [ "$(say "cat $OUT/a/f $OUT/a/deep/g")" = "outside
below" ]
        [ "$(cat "$OUT/b/f")" = other ]
        echo exit >"$OUT/ask"
}

@test "view: a rule on a name that is not there, below a directory that cannot be written" {
        ordinary
        begin
        view add from "/etc/paddock-new/x=$OUT/a"
        run in_sh "cat /etc/paddock-new/x/f; ls /etc | wc -l"
        expect_match outside
        [ "${lines[1]}" -gt 20 ]
        view rm /etc/paddock-new/x
        run enter ls /etc/paddock-new
        expect_match 'No such file'
}

@test "view: a rule below stays when one above comes and goes" {
        ordinary
        begin
        view add hide "$OUT/a/deep" share "$OUT/a"
        run in_sh "cat $OUT/a/f; cat $OUT/a/deep/g"
        expect_match outside
        [[ $output != *below* ]]
        view rm "$OUT/a"
        run in_sh "cat $OUT/a/f; cat $OUT/a/deep/g"
        expect_match outside
        [[ $output != *below* ]]
}

@test "view: names inside are never seen half changed" {
        ordinary
        begin
        in_sh "while :; do cat $OUT/a/f || echo missing; done" >"$PLACE/seen" 2>&1 3>&- &
        children+=($!)
        for i in 1 2 3 4 5 6 7 8 9 10; do
                view add from "$OUT/a=$OUT/b"
                view rm "$OUT/a"
        done
        kill "${children[0]}"
        wait "${children[0]}" || true
        run sort -u "$PLACE/seen"
        expect_output "other
outside"
}

@test "view: what was changed for a rule is kept in the layer, and told by diff" {
        ordinary
        begin
        view add from "$OUT/a=$OUT/b"
        in_sh "echo changed >$OUT/a/f; echo new >$OUT/a/n"
        run "$PADDOCK" diff web
        expect_match "A  $OUT/a/n"
        expect_match "M  $OUT/a/f"
        "$PADDOCK" stop web
        run view
        expect_output ''
}

@test "view: a program can neither take a change away nor look below it" {
        ordinary
        begin
        view add hide "$OUT/a" mirror "$OUT/b"
        run in_sh "unshare -Urm sh -c 'umount $OUT/a; umount -l $OUT/b; mount -o remount,rw,bind $OUT/b; echo x >$OUT/b/f
                mkdir -p /tmp/m; mount --rbind $OUT /tmp/m && cat /tmp/m/a/f; mount --bind $OUT /tmp/m && cat /tmp/m/a/f; umount -l $OUT
                cat $OUT/a/f'; true"
        expect_status 0
        [[ $output != *outside* ]]
        [ "$(cat "$OUT/b/f")" = other ]
        run enter cat "$OUT/a/f"
        [[ $output != *outside* ]]
        # The same program sees the view, so that it was not blind for another reason.
        run in_sh "unshare -Urm cat $OUT/b/f"
        expect_output other
}

@test "view: with root inside a change says that it is no boundary" {
        ordinary
        begin --as root
        run view add hide "$OUT/a"
        expect_status 0
        expect_match 'root inside can look below'
        run enter ls "$OUT/a"
        expect_output ''
}

@test "view: a change that does not reach the programs fails" {
        ordinary
        begin --as root
        in_sh 'mount --make-rprivate /'
        run view add hide "$OUT/a"
        expect_status 125
        expect_match 'did not reach the programs'
}

@test "view: real root is told to restart" {
        is_root || skip 'for real root'
        begin
        run view add share "$OUT/a"
        expect_status 125
        expect_match 'real root cannot change while it runs'
        run in_sh "echo x >$OUT/a/f"
        [ "$(cat "$OUT/a/f")" = outside ]
}

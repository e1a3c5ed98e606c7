#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What must not hold files-mirror up, bring it down, or make it grow.

load common

ended_server() { ended "$server"; }
refused_inside() { not within timeout 5 ls $M 2>/dev/null >&2; }
kilobytes() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$server/status"; }

@test "the server killed in mid-work: clients get errors, and nothing hangs" {
        mkdir "$OUT/d"
        tool many "$OUT/d" 5000
        for _ in 1 2 3; do
                mirror
                start within find $O $M -type f -exec cat {} +  >/dev/null 2>&1
                reader=$started
                within sh -c "exec 5<$O/d/f1; sleep 1; cat <&5" 2>/dev/null &
                sleep 0.2
                kill -KILL "$server"
                eventually ended_server
                wait "$reader" || true
                eventually refused_inside
                # The mount can be left.
                exec 7>&-
                kill "$inner"
                wait "$mounter" || true
        done
}

@test "the end of the environment is the end of the server, whoever still uses the mount" {
        mirror
        start within sleep 2
        kill "$inner"
        wait "$mounter" || true
        eventually ended_server
}

@test "signals of a terminal mean nothing to it" {
        mirror
        kill -INT "$server"; kill -HUP "$server"; kill -QUIT "$server"; kill -TSTP "$server"
        sleep 0.2
        within ls $M
        leave
}

@test "a storm of requests" {
        mkdir "$OUT/d"
        tool many "$OUT/d" 3000
        for i in $(seq 200); do echo "$i" >"$OUT/$i"; done
        mirror
        for _ in 1 2 3 4; do
                start within "$TOOLS/tool" names $O/d stat 2
                start within "$TOOLS/tool" names $M open 2
        done
        start "$TOOLS/tool" churn "$OUT/d" 2000
        for child in "${children[@]}"; do [ "$child" = "$mounter" ] || wait "$child" || true; done
        agrees d
        leave
}

# A world with a file system that does not answer.
with_hang()
{
        world
        mkdir -p "$OUT/mounts/hung" "$OUT/d"
        for i in $(seq 50); do echo text >"$OUT/d/$i"; done
        start "${outside[@]}" "$TOOLS/tool" hang "$OUT/mounts/hung" >"$PLACE/hangs"
        eventually grep -q hangs "$PLACE/hangs"
        mirror
        # a name of it: each of these is held up
        for i in 1 2 3; do start within cat "$M/mounts/hung/$i" 2>/dev/null; done
        sleep 0.3
}

@test "a file system outside that does not answer holds up only those who ask for it" {
        with_hang
        SECONDS=0
        for i in $(seq 20); do within timeout 5 cat "$O/d/$i" >/dev/null; done
        [ "$SECONDS" -lt 5 ]
        echo new >"$OUT/d/new"
        seen grep -q new "$O/d/new"
        leave
}

@test "what changes beside a file system that does not answer is seen" {
        with_hang
        # their lookups hold the lock of the directory, in which names are taken back now
        for i in 1 2 3; do start within stat "$M/mounts/hung" 2>/dev/null; done
        within cat "$O/d/1" >/dev/null
        sleep 0.3
        for i in 1 2 3; do
                echo "new $i" >"$OUT/mounts/beside$i"
                rm "$OUT/d/$i"
                echo "other text $i" >"$OUT/d/$((i + 10))"
                seen sh -c "[ ! -e $O/d/$i ] && grep -q 'other text $i' $O/d/$((i + 10))"
        done
        leave
}

@test "little descriptors: a walk needs no more of them than the threads may have" {
        for i in $(seq 500); do mkdir -p "$OUT/$i/a/b"; echo text >"$OUT/$i/a/b/f"; done
        (
                ulimit -n 1000
                mirror
                [ "$(within find $O -type f | wc -l)" = 500 ]
                [ "$(within sh -c "cat $O/*/a/b/f | wc -l")" = 500 ]
                leave
        )
}

@test "a walk over 300,000 names does not make it grow without bound" {
        mkdir "$OUT/d"
        for i in $(seq 30); do mkdir "$OUT/d/$i"; tool many "$OUT/d/$i" 10000; done
        mirror
        [ "$(within find $M -type f | wc -l)" = 300000 ]
        [ "$(kilobytes)" -lt 80000 ]
        [ "$(within find $M -type f | wc -l)" = 300000 ]
        [ "$(kilobytes)" -lt 90000 ]
        leave
}

@test "what is said about names that come and go takes no memory" {
        mirror
        within sh -c "for i in \$(seq 2000); do test -e $O/\$i; done; true"
        before=$(kilobytes)
        for _ in 1 2 3; do
                tool churn "$OUT" 1000
                within find $O >/dev/null || true
        done
        [ "$(kilobytes)" -lt $((before + 8000)) ]
        leave
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# review.bats - `paddock run --review`: what a program changed is shown when it ends, and the person in front of it decides.

load common
load layers

reviewed() { "$PADDOCK" list | sed -n 's/^\(review-[^ ]*\) .*/\1/p'; }

# answering STEP... -- SCRIPT - runs it with --review in a terminal and plays the steps.
answering()
{
        local steps=()

        while [ "$1" != -- ]; do steps+=("$1"); shift; done
        PAGER=cat TERM=dumb $PTY "${steps[@]}" -- "$PADDOCK" run --review -- sh -ec "$2"
}

@test "review: commit all" {
        echo x >f && tick
        answering 'expect c/k/d/l/e' 'send c\n' -- 'echo y >f; touch g; exit 0'
        [ "$(cat f)" = y ] && [ -e g ]
        [ -z "$(reviewed)" ]
        nothing_left
}

@test "review: discard all; the exit code is the program's" {
        run answering 'expect A  .*/g' 'expect c/k/d/l/e' 'send d\n' -- 'touch g; exit 7'
        expect_status 7
        [ ! -e g ] && [ -z "$(reviewed)" ]
}

@test "review: keep, and at the end of input" {
        answering 'expect c/k/d/l/e' 'send k\n' 'expect kept in environment' -- 'touch g'
        "$PADDOCK" diff "$(reviewed)" | grep -F "A  $HOME/g"
        "$PADDOCK" rm "$(reviewed)"
        answering 'expect c/k/d/l/e' 'send \x04' 'expect kept in environment' -- 'touch g'
        [ -n "$(reviewed)" ] && [ ! -e g ]
}

@test "review: lines first, then for each" {
        echo x >a && echo x >b && echo x >c && tick
        answering 'expect c/k/d/l/e' 'send l\n' 'expect \+y' 'expect c/k/d/l/e' 'send e\n' \
                'expect M  .*/a' 'expect c/k/d/q' 'send c\n' 'expect /b' 'expect c/k/d/q' 'send d\n' 'expect /c' 'expect c/k/d/q' 'send k\n' \
                'expect /d/' 'expect c/k/d/q' 'send c\n' -- 'echo y >a; echo y >b; echo y >c; mkdir d; touch d/1 d/2'
        [ "$(cat a b c)" = 'y
x
x' ] && [ -e d/1 ] && [ -e d/2 ]
        run "$PADDOCK" diff "$(reviewed)"
        expect_output "M  $HOME/c  (content)"
}

@test "review: nothing was changed, or nobody can be asked" {
        run "$PADDOCK" run --review -- true
        expect_status 0
        expect_match 'nothing was changed'
        [ -z "$(reviewed)" ]
        run "$PADDOCK" run --review -- sh -c 'touch g; exit 3' </dev/null
        expect_status 3
        expect_match "A  $HOME/g"
        expect_match 'kept in environment'
        [ -n "$(reviewed)" ] && [ ! -e g ]
}

@test "review: an environment with a name" {
        tick
        run "$PADDOCK" run --review -n env -- touch g </dev/null
        expect_status 0
        expect_changes 'A  g'
        fails 'not with --file' run --review --memory -- true
}

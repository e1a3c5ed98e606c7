#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# terminal.bats - `paddock run` at a terminal: the program has one of its own, and the keys, the size, pipelines and job
# control are what they would be without paddock.

load common

# in_terminal STEP... -- COMMAND... - see pty.py. What is shown goes to $output without carriage returns.
in_terminal()
{
        # shellcheck disable=SC2086
        run $PTY "$@" 3>&- 4>&-
        output=$(tr -d '\r' <<<"$output")
}

@test "terminal: standard input, output and error are terminals, and named" {
        in_terminal -- "$PADDOCK" run sh -c 'test -t 0 && test -t 1 && test -t 2 && echo all; tty'
        expect_status 0
        [ "${lines[0]//$'\r'/}" = all ]
        expect_match '/dev/pts/[0-9]+$'
}

@test "terminal: it is not the outer terminal" {
        in_terminal -- bash -c 'stat -c %d:%r "$(tty)"; "$PADDOCK" run sh -c "stat -c %d:%r \$(tty)"'
        expect_status 0
        # shellcheck disable=SC2206
        seen=($output)
        [ "${#seen[@]}" = 2 ]
        [ "${seen[0]%%:*}" != "${seen[1]%%:*}" ]
}

@test "terminal: /dev/tty works, and is this terminal" {
        in_terminal 'expect name' 'send Ada\n' -- "$PADDOCK" run sh -c 'printf name >/dev/tty; read x </dev/tty; echo "hello $x"'
        expect_status 0
        expect_match 'hello Ada'
}

@test "terminal: window size, and SIGWINCH when it changes" {
        in_terminal 'resize 31 97' 'expect ready' 'resize 40 101' 'expect changed' -- bash -c '
                sleep 0.2
                exec "$PADDOCK" run bash -c "stty size; trap \"echo changed; stty size; exit 3\" WINCH; echo ready
                        while :; do sleep 0.05; done"'
        expect_status 3
        expect_match '31 97'
        expect_match '40 101'
}

@test "terminal: what is typed arrives; end of file with Ctrl-D" {
        in_terminal 'expect ready' 'send one\ntwo\n\x04' -- "$PADDOCK" run sh -c 'echo ready; wc -l; echo done'
        expect_status 0
        expect_match $'\n2\ndone'
        # once, not twice: a single echo
        [ "$(grep -c '^one$' <<<"$output")" = 1 ]
}

@test "terminal: lines end as without paddock" {
        run $PTY -- printf 'a\nb\n'
        direct=$output
        run $PTY -- "$PADDOCK" run printf 'a\nb\n'
        expect_output "$direct"
        run $PTY -- sh -c 'printf "a\nb\n" | cat'
        direct=$output
        run $PTY -- sh -c '"$PADDOCK" run printf "a\nb\n" | cat'
        expect_output "$direct"
        run $PTY -- sh -c '"$PADDOCK" run sh -c "echo one >&2; echo two >&2" | cat'
        expect_output $'one\r\ntwo\r'
}

@test "terminal: 2 MB of output arrive whole" {
        $PTY -- "$PADDOCK" run sh -c 'seq 300000 | sed "s/$/-/"; echo the end' >shown
        diff <(seq 300000 | sed 's/$/-/'; echo the end) <(tr -d '\r' <shown)
}

@test "terminal: Ctrl-C ends the program, and paddock by the same signal" {
        in_terminal 'expect ready' 'send \x03' -- "$PADDOCK" run sh -c 'echo ready; exec sleep 300'
        expect_status 130
        in_terminal 'expect ready' 'send \x1c' -- bash -c 'ulimit -c 0; exec "$PADDOCK" run sh -c "echo ready; exec sleep 300"'
        expect_status 131
        nothing_left
}

@test "terminal: Ctrl-C that the program handles does not end it" {
        in_terminal 'expect ready' 'send \x03' 'expect caught' 'send x\n' -- \
                "$PADDOCK" run bash -c 'trap "echo caught" INT; echo ready; until read -r x; do :; done; echo "got $x"; exit 4'
        expect_status 4
        expect_match 'got x'
}

@test "terminal: Ctrl-C in a script of the outer shell ends the script too" {
        in_terminal 'expect ready' 'send \x03' -- bash -c '"$PADDOCK" run sh -c "echo ready; exec sleep 300"; echo went on'
        expect_status 130
        [[ $output != *'went on'* ]]
}

@test "terminal: Ctrl-Z stops the job, fg continues it" {
        in_terminal 'expect \$ ' 'send "$PADDOCK" run sh -c \x27echo ready; read x; echo "got $x"; exit 5\x27\n' \
                'expect \nready' 'send \x1a' 'expect Stopped' 'expect \$ ' 'send jobs\n' 'expect Stopped' 'expect \$ ' \
                'send fg\n' 'sleep 0.3' 'send hello\n' 'expect got hello' 'expect \$ ' 'send exit $?\n' \
                -- env PS1='$ ' bash --norc --noediting -i
        expect_status 5
        nothing_left
}

@test "terminal: a stop sent to paddock that the program ignores is forgotten when Ctrl-Z is typed" {
        in_terminal 'expect \$ ' 'send bash -c \x27"$PADDOCK" run sh -c "trap \\"\\" TSTP; echo ready; read x; trap - TSTP; echo again; read y"; true\x27\n' \
                'expect \nready' \
                'shell p=$(cat /proc/$CHILD/task/$CHILD/children); p=${p% }; p=$(cat /proc/$p/task/$p/children); kill -TSTP ${p% }' \
                'sleep 0.3' 'send on\n' 'expect \nagain' 'send \x1a' 'expect Stopped' 'expect \$ ' \
                'send kill -9 %1; sleep 0.3; exit 0\n' 'sleep 0.5' 'send exit 0\n' -- env PS1='$ ' bash --norc --noediting -i
        expect_status 0
}

@test "terminal: Ctrl-Z, then bg: a program that does not read goes on" {
        in_terminal 'expect \$ ' 'send "$PADDOCK" run --share . sh -c \x27echo ready; while [ ! -e stop ]; do sleep 0.05; done; touch over\x27\n' \
                'expect \nready' 'send \x1a' 'expect Stopped' 'expect \$ ' 'send bg\n' 'expect \$ ' \
                'shell touch stop; for i in $(seq 500); do [ -e over ] && exit 0; sleep 0.02; done; exit 1' \
                'send wait; exit 0\n' -- env PS1='$ ' bash --norc --noediting -i
        expect_status 0
}

@test "terminal: after Ctrl-Z the outer terminal is as the shell left it" {
        in_terminal 'expect \$ ' 'send stty -g >before; "$PADDOCK" run sh -c \x27echo ready; exec cat\x27\n' 'expect \nready' \
                'send \x1a' 'expect Stopped' 'expect \$ ' 'send stty -g >after; cmp before after && echo the same; kill -9 %1; sleep 0.3; exit 0\n' \
                -- env PS1='$ ' bash --norc --noediting -i
        expect_match $'\nthe same'
}

@test "terminal: a background job that reads is stopped by SIGTTIN, and fg lets it read" {
        in_terminal 'expect \$ ' 'send "$PADDOCK" run sh -c \x27read x; echo "got $x"\x27 &\n' 'expect \$ ' \
                'shell for i in $(seq 500); do grep -q "^State:.T" /proc/$(cat /proc/$CHILD/task/$CHILD/children | cut -d" " -f1)/status && exit 0; sleep 0.02; done; exit 1' \
                'send jobs\n' 'expect Stopped' 'expect \$ ' 'send fg\n' 'sleep 0.3' 'send late\n' 'expect got late' 'expect \$ ' 'send exit 0\n' \
                -- env PS1='$ ' bash --norc --noediting -i
        expect_status 0
        nothing_left
}

@test "terminal: a background job may write, and leaves the terminal's modes alone" {
        in_terminal 'expect \$ ' 'send stty -g >before; "$PADDOCK" run sh -c \x27echo from behind; sleep 0.3\x27 & sleep 0.1; stty -g >during\n' \
                'expect from behind' 'send wait; cmp before during && echo the same; exit 0\n' -- env PS1='$ ' bash --norc --noediting -i
        expect_match $'\nthe same'
}

@test "terminal: paddock run cat | cat, typed into" {
        in_terminal 'sleep 0.3' 'send over the hill\n' 'expect hill.*hill' 'send \x04' -- sh -c '"$PADDOCK" run cat | cat'
        expect_status 0
}

@test "terminal: paddock run sh -c 'read x; echo got \$x' | cat" {
        in_terminal 'sleep 0.3' 'send sheep\n' 'expect got sheep' -- sh -c '"$PADDOCK" run sh -c "read x; echo got \$x" | cat'
        expect_status 0
        in_terminal 'expect \$ ' 'send "$PADDOCK" run sh -c \x27read x; echo got $x\x27 | cat\n' 'sleep 0.4' 'send lamb\n' 'expect got lamb' \
                'expect \$ ' 'send exit 0\n' -- env PS1='$ ' bash --norc --noediting -i
        expect_status 0
}

@test "terminal: output to a terminal, input from a pipe" {
        in_terminal -- sh -c 'echo wool | "$PADDOCK" run sh -c "test -t 1 && tr a-z A-Z"'
        expect_status 0
        expect_match WOOL
        in_terminal -- sh -c 'seq 3 | "$PADDOCK" run cat | "$PADDOCK" run tail -n 1'
        expect_status 0
        expect_output 3
}

@test "terminal: a pager's way: input from a pipe, keys from /dev/tty" {
        in_terminal 'expect press' 'send q' -- sh -c '
                seq 3 | "$PADDOCK" run bash -c "cat >/dev/null; echo press; read -r -n 1 -s key </dev/tty; echo key \$key"'
        expect_status 0
        expect_match 'key q'
}

@test "terminal: Ctrl-C in a pipeline ends it" {
        in_terminal 'expect ready' 'send \x03' -- bash -c '"$PADDOCK" run sh -c "echo ready >&2; exec sleep 300" | cat'
        expect_status 130
        nothing_left
}

@test "terminal: the modes are what they were: after an end, a failure, a killed program" {
        for how in 'true' 'no-such-program' 'stty raw -echo' 'sh -c "stty raw -echo; kill -9 \$\$"' '--hide /proc true'; do
                in_terminal -- bash -c 'stty -g >before; "$PADDOCK" run '"$how"'; stty -g >after; cmp before after && echo the same'
                expect_match 'the same$'
        done
}

@test "terminal: the modes are what they were after kill -9 of the environment's first process" {
        in_terminal 'expect ready' 'shell kill -9 $(cat /proc/$(cat /proc/$CHILD/task/$CHILD/children | cut -d" " -f1)/task/*/children | cut -d" " -f1)' \
                -- bash -c 'stty -g >before; "$PADDOCK" run sh -c "echo ready; exec sleep 300"; stty -g >after; cmp before after && echo the same'
        expect_match 'the same$'
        nothing_left
}

@test "terminal: SIGTERM to paddock puts the modes back" {
        in_terminal 'expect ready' 'shell kill -TERM $(cat /proc/$CHILD/task/$CHILD/children)' \
                -- bash -c 'stty -g >before; "$PADDOCK" run sh -c "echo ready; exec sleep 300"; echo "code $?"; stty -g >after; cmp before after && echo the same'
        expect_match 'code 143'
        expect_match 'the same$'
}

@test "terminal: closing the window ends the program" {
        in_terminal 'expect ready' 'hangup' -- "$PADDOCK" run --share . sh -c 'trap "touch hung; exit 0" HUP; echo ready; while :; do sleep 0.05; done'
        eventually test -e hung
        nothing_left
}

@test "terminal: job control inside" {
        in_terminal 'expect \$ ' 'send "$PADDOCK" run env PS1="in> " bash --norc --noediting -i\n' 'expect in> ' \
                'send sleep 300\n' 'sleep 0.3' 'send \x1a' 'expect Stopped' 'expect in> ' 'send jobs\n' 'expect Stopped.*sleep 300' \
                'send fg\n' 'sleep 0.3' 'send \x03' 'expect in> ' 'send echo code $?\n' 'expect code 130' 'expect in> ' 'send exit 6\n' \
                'expect \$ ' 'send exit $?\n' -- env PS1='$ ' bash --norc --noediting -i
        expect_status 6
        not grep -i 'no job control' <<<"$output"
        nothing_left
}

@test "terminal: suspend of an inner shell stops paddock, fg returns to it" {
        in_terminal 'expect \$ ' 'send "$PADDOCK" run env PS1="in> " bash --norc --noediting -i\n' 'expect in> ' \
                'send suspend\n' 'expect Stopped' 'expect \$ ' 'send fg\n' 'sleep 0.3' 'send echo back\n' 'expect \nback' 'expect in> ' 'send exit 7\n' \
                'expect \$ ' 'send exit $?\n' -- env PS1='$ ' bash --norc --noediting -i
        expect_status 7
}

@test "terminal: TIOCSTI cannot type for the user" {
        in_terminal -- bash -c '"$PADDOCK" run /usr/bin/python3 -c "
import fcntl
for fd in 0, 1, 2:
    try:
        for c in b\"touch typed\\n\":
            fcntl.ioctl(fd, 0x5412, bytes([c]))
    except OSError:
        pass
"; read -r -t 0.5 line; echo "line <$line>"'
        expect_match 'line <>'
        not test -e typed
}

@test "terminal: input typed ahead that the program did not take does not kill or hang anything" {
        in_terminal 'send echo one\necho two\n' -- "$PADDOCK" run sh -c 'sleep 0.3; exit 9'
        expect_status 9
}

@test "terminal: 200 kB pasted arrive" {
        { head -c 200000 /dev/zero | tr '\0' 'x' | fold -w 99; echo; } >text
        in_terminal 'expect ready' 'type text' 'send \x04' 'expect [0-9]+ bytes' -- \
                "$PADDOCK" run sh -c 'stty -echo; echo ready; echo $(wc -c) bytes'
        expect_status 0
        expect_match "$(wc -c <text) bytes"
}

@test "terminal: a program that outlives its terminal's reader: output closed" {
        in_terminal -- sh -c '"$PADDOCK" run yes | head -n 2'
        expect_status 0
        expect_output $'y\ny'
}

@test "terminal: no terminal at all" {
        run setsid -w "$PADDOCK" run sh -c 'tty; (echo x >/dev/tty) 2>/dev/null || echo none' </dev/null
        expect_output $'not a tty\nnone'
}

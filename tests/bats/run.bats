#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# run.bats - `paddock run` as a way to start a program: nothing that the program or its caller sees may differ from a
# direct start, and nothing may stay behind.

load common

# --- exit codes ----------------------------------------------------------------------------------------------------

@test "run: the exit code is the program's" {
        for code in 0 1 2 42 124 125 126 127 128 200 255; do
                run "-$code" inside sh -c "exit $code"
                expect_output ""
        done
}

@test "run: 127 for a program that is not there, with and without a slash" {
        run -127 inside no-such-program-anywhere
        expect_match '^paddock: no-such-program-anywhere: '
        run -127 inside ./nothing
        expect_match 'paddock: \./nothing: '
        run -127 inside -- ''
        no_temporary
}

@test "run: 126 for what cannot be executed" {
        touch plain && chmod 644 plain
        run inside ./plain
        expect_status 126
        expect_match 'paddock: \./plain: '
        run inside "$HOME"
        expect_status 126
        mkdir bin && touch bin/plain
        PATH=$HOME/bin:$PATH run inside plain
        expect_status 126
        no_temporary
}

@test "run: 127 when the interpreter of a script is missing, as env and nice have it" {
        printf '#!/no/such/interpreter\n' >script && chmod +x script
        run -127 inside ./script
        expect_match 'paddock: \./script: '
}

@test "run: 125 for wrong options, and the message names the option" {
        run inside --no-such-option true
        expect_status 125
        expect_match 'no-such-option'
        run inside --net=maybe true
        expect_status 125
        expect_match "'inherit', 'none' or 'uplink'"
        run inside --hostname= true
        expect_status 125
        run inside --from /x true
        expect_status 125
        expect_match 'PATH=SRC'
        run inside -n a -f b true
        expect_status 125
        run inside -n a --memory true
        expect_status 125
        no_temporary
}

@test "run: a program that a signal killed: paddock dies by the same signal" {
        ulimit -c 0
        for name in TERM KILL HUP USR1 ABRT SEGV INT QUIT; do
                run /usr/bin/python3 -c '
import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], [sys.argv[1], "run", "sh", "-c", "kill -%s $$" % sys.argv[2]])
status = os.waitpid(pid, 0)[1]
print(os.WIFSIGNALED(status) and os.WTERMSIG(status))' "$PADDOCK" "$name"
                expect_output "$(kill -l "$name")"
        done
        run sh -c "\"$PADDOCK\" run sh -c 'kill -TERM \$\$'; exit \$?"
        expect_status 143
        nothing_left
}

@test "run: --help says what it is about and ends with 0" {
        run inside --help
        expect_status 0
        expect_match 'Usage: paddock run'
        expect_match '125'
}

@test "run: options in every form that argp knows, and its errors" {
        run inside --mem --hide="$OUT" -- sh -c "ls -d $OUT 2>/dev/null || echo hidden; echo \$1" x -z
        expect_status 0
        expect_output $'hidden\n-z'
        run inside -n one true
        expect_status 0
        run inside -none --net none sh -c 'echo "$PADDOCK_NAME"'
        expect_output one
        run inside --name=one --hide "$OUT" sh -c "ls -d $OUT 2>/dev/null || echo hidden"
        expect_output hidden
        run "$PADDOCK" rm one
        for wrong in --nothing --hide --memory=x -x --m; do
                run inside "$wrong"
                expect_status 125
                expect_match 'Try .*--help'
        done
        nothing_left
}

@test "run: every signal that can be passed on is, the first real-time one too" {
        for number in 1 10 12 15 34 35 64; do
                rm -f ready
                start "$PADDOCK" run --share . bash -c "trap 'exit 7' $number; touch ready; while :; do sleep 0.05; done"
                eventually test -e ready
                kill "-$number" "${children[-1]}"
                status=0
                wait "${children[-1]}" || status=$?
                expect_status 7
        done
        nothing_left
}

# --- arguments, environment, working directory -----------------------------------------------------------------------

@test "run: arguments arrive as they are" {
        run inside printf '<%s>' 'a b' $'new\nline' '' '*' "'" '"' $'\xff\xfe' -- --help ' ' '\n'
        expect_output "$(printf '<%s>' 'a b' $'new\nline' '' '*' "'" '"' $'\xff\xfe' -- --help ' ' '\n')"
        run inside -- printf '%s' --explain
        expect_output --explain
        run inside printf '%s|' -n --share
        expect_output '-n|--share|'
}

@test "run: an argument of 100 kB and 10,000 arguments" {
        long=$(head -c 100000 /dev/zero | tr '\0' x)
        run inside sh -c 'echo ${#1}' sh "$long"
        expect_output 100000
        # shellcheck disable=SC2046
        run inside sh -c 'echo $#' sh $(seq 10000)
        expect_output 10000
}

@test "run: the environment is kept, and PADDOCK_NAME is set" {
        export STRANGE=$'a b\nc=d'
        run inside sh -c 'printf "%s|%s" "$STRANGE" "$HOME"'
        expect_output "$STRANGE|$HOME"
        diff <(env -u PADDOCK_NAME -u _ -u OLDPWD | sort) <(inside env -u PADDOCK_NAME -u _ -u OLDPWD | sort)
        # empty but set in an environment without a name
        run inside sh -c 'echo "${PADDOCK_NAME-unset}"'
        expect_output ""
        run inside -n blue sh -c 'echo "${PADDOCK_NAME-unset}"'
        expect_output blue
}

@test "run: an empty environment works" {
        run env -i "$PADDOCK" run /bin/sh -c 'echo ok'
        expect_status 0
        expect_match 'ok$'
}

@test "run: the working directory is kept" {
        mkdir -p 'deep/er place' && cd 'deep/er place'
        run inside pwd
        expect_output "$PWD"
        run inside /bin/pwd -P
        expect_output "$PWD"
        for dir in / /usr/bin /etc /tmp /var/tmp /usr/share; do
                cd "$dir"
                run inside /bin/pwd
                expect_output "$dir"
        done
}

@test "run: the working directory through a symbolic link keeps its logical name" {
        mkdir real && ln -s real link && cd link
        run inside sh -c 'echo "$PWD"'
        expect_output "$HOME/link"
        run inside /bin/pwd -P
        expect_output "$HOME/real"
}

@test "run: without a command it is \$SHELL" {
        printf '#!/bin/sh\necho "shell $# $0"\n' >shell && chmod +x shell
        SHELL=$HOME/shell run inside
        expect_status 0
        expect_output "shell 0 $HOME/shell"
        run env -u SHELL "$PADDOCK" run <<<'echo "$0 works"'
        expect_match 'sh works$'
        run env SHELL=relative "$PADDOCK" run <<<'echo works'
        expect_output works
}

@test "run: a script without #! is run by sh, with its arguments" {
        printf 'echo "$# $1 $2"\nexit 7\n' >script && chmod +x script
        run inside ./script one 'two three'
        expect_status 7
        expect_output '2 one two three'
        mkdir bin && mv script bin/myscript
        PATH=$HOME/bin:$PATH run inside myscript a b
        expect_status 7
        expect_output '2 a b'
}

@test "run: PATH with empty, missing and unreadable parts" {
        printf '#!/bin/sh\necho here\n' >tool && chmod +x tool
        PATH=/nowhere::/usr/bin:/bin run inside tool
        expect_output here
        mkdir closed && chmod 0 closed
        PATH=$HOME/closed:/usr/bin:/bin run inside echo fine
        expect_output fine
        run env -u PATH "$PADDOCK" run echo found
        expect_output found
}

# --- what a process inherits -----------------------------------------------------------------------------------------

@test "run: umask, niceness and limits are kept" {
        (umask 027; [ "$(inside sh -c umask)" = 0027 ])
        [ "$(nice -n 7 "$PADDOCK" run nice)" = "$(nice -n 7 nice)" ]
        (ulimit -S -n 123; [ "$(inside sh -c 'ulimit -S -n')" = 123 ])
        (ulimit -S -s 4096; [ "$(inside sh -c 'ulimit -S -s')" = 4096 ])
        (ulimit -c 0; [ "$(inside sh -c 'ulimit -c')" = 0 ])
        diff <(cut -c 1-60 /proc/self/limits | grep -v 'Max processes') \
             <(inside cut -c 1-60 /proc/self/limits | grep -v 'Max processes')
}

@test "run: user and groups are the same by number and by name" {
        [ "$(inside id -u)" = "$(id -u)" ]
        [ "$(inside id -g)" = "$(id -g)" ]
        [ "$(inside id -un)" = "$(id -un)" ]
        touch mine
        [ "$(inside stat -c '%u %g' mine)" = "$(stat -c '%u %g' mine)" ]
}

@test "run: ignored and blocked signals stay so (nohup), others do not become so" {
        diff <(sh -c 'grep -E "^Sig(Ign|Blk)" /proc/self/status') <(inside grep -E '^Sig(Ign|Blk)' /proc/self/status)
        (
                trap '' HUP USR2
                diff <(sh -c 'grep -E "^Sig(Ign|Blk)" /proc/self/status') \
                     <(inside grep -E '^Sig(Ign|Blk)' /proc/self/status)
        )
        run /usr/bin/python3 -c '
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
os.execv(sys.argv[1], [sys.argv[1], "run", "grep", "^SigBlk", "/proc/self/status"])' "$PADDOCK"
        expect_match '0000000000004200$'
}

@test "run: a caller that ignores SIGCHLD is served" {
        run /usr/bin/python3 -c '
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], [sys.argv[1], "run", "sh", "-c", "/bin/true; exit 9"])' "$PADDOCK"
        expect_status 9
}

@test "run: nohup: SIGHUP to paddock does not end the program" {
        start nohup "$PADDOCK" run sh -c 'echo up; sleep 0.5; echo survived' >out.txt 2>&1
        eventually grep -q up out.txt
        kill -HUP "$started"
        wait "$started"
        grep -q survived out.txt
}

# --- standard input and output ---------------------------------------------------------------------------------------

@test "run: pipes in and out" {
        run sh -c "echo hello | \"$PADDOCK\" run tr a-z A-Z | cat"
        expect_output HELLO
        run sh -c "\"$PADDOCK\" run sh -c 'echo out; echo err >&2' 2>/dev/null"
        expect_output out
        run sh -c "\"$PADDOCK\" run sh -c 'echo out; echo err >&2' 2>&1 >/dev/null"
        expect_output err
}

@test "run: 64 MB through pipes, unchanged" {
        sum=$(head -c 64000000 /dev/zero | sha256sum)
        [ "$(head -c 64000000 /dev/zero | inside cat | sha256sum)" = "$sum" ]
}

@test "run: input that nobody reads, output that nobody reads" {
        yes | inside true
        [ "${PIPESTATUS[1]}" = 0 ]
        run bash -c '"$PADDOCK" run yes | head -n 1; echo "${PIPESTATUS[0]}"'
        expect_output $'y\n141'
        nothing_left
}

@test "run: standard output closed early by the program is the end of file for the reader" {
        start sh -c '"$PADDOCK" run sh -c "echo one; exec >&- 2>&-; sleep 30" | { cat; echo eof >eof; }'
        eventually test -e eof
}

@test "run: closed standard descriptors stay closed" {
        run bash -c '"$PADDOCK" run sh -c "ls -l /proc/self/fd/0 >/dev/null 2>&1 && echo open || echo closed" <&-'
        expect_output closed
        run bash -c '"$PADDOCK" run sh -c "echo x; exit 3" >&-'
        expect_status 3
        run bash -c '"$PADDOCK" run sh -c "exit 3" <&- >&- 2>&-'
        expect_status 3
}

@test "run: input from a file, at its offset; here-documents; output to a file, appended" {
        seq 1 10 >numbers
        run bash -c '{ read -r a; read -r b; "$PADDOCK" run cat; } <numbers | tail -n +1 | wc -l'
        expect_status 0
        # read -r of a file seeks back to what it took: the rest begins at the third line
        expect_output 8
        run bash -c '{ "$PADDOCK" run sh -c "read -r x; echo \$x"; } <numbers'
        expect_output 1
        run inside cat <<<'here it is'
        expect_output 'here it is'
        run bash -c '"$PADDOCK" run cat <<END
a
b
END'
        expect_output $'a\nb'
        echo first >log
        inside echo second >>log
        [ "$(cat log)" = $'first\nsecond' ]
}

@test "run: a file that was opened for reading cannot be opened for writing inside" {
        echo precious >file
        untouched "$HOME" inside sh -c 'echo spoiled >/proc/self/fd/0; echo spoiled >/dev/stdin; true' <file
        [ "$(cat file)" = precious ]
}

@test "run: output to a file goes to the file outside" {
        inside sh -c 'echo to stdout; echo to stderr >&2' >one 2>two
        [ "$(cat one)" = 'to stdout' ]
        [ "$(cat two)" = 'to stderr' ]
}

@test "run: further descriptors: pipes are kept, directories and files of the outside do not lead out" {
        run bash -c 'echo data | { exec 5<&0 </dev/null; "$PADDOCK" run sh -c "cat <&5"; }'
        expect_output data
        run bash -c 'exec 7</; "$PADDOCK" run ls /proc/self/fd/7/'
        expect_status 2
        touch target
        run bash -c 'exec 9<"$HOME"; "$PADDOCK" run sh -c "echo x >/proc/self/fd/9/target"'
        [ ! -s target ]
        run bash -c 'exec 5<>/dev/null 6</dev/zero; "$PADDOCK" run sh -c "head -c 3 <&6 | wc -c"'
        expect_output 3
}

@test "run: the program gets no descriptor that it was not given" {
        run /usr/bin/python3 -c '
import os, sys
os.closerange(3, 1024)
os.execv(sys.argv[1], [sys.argv[1], "run", "sh", "-c", "ls /proc/self/fd | sort -n | tr \"\\n\" \" \""])' "$PADDOCK" </dev/null
        expect_output '0 1 2 3 ' # 3 is the directory that ls reads
}

@test "run: a directory as standard input is the directory inside" {
        mkdir dir && touch dir/old
        run inside sh -c 'touch dir/new; ls /proc/self/fd/0/' <dir
        expect_output $'new\nold'
        not test -e dir/new
}

@test "run: make's jobserver works across paddock" {
        command -v make >/dev/null
        cat >Makefile <<'END'
all: a b c d
a b c d:
	+@"$(PADDOCK)" run $(MAKE) -s -f sub.mk
END
        printf 'all: x y\nx y:\n\t@sleep 0.05; echo $@\n' >sub.mk
        run timeout 60 make -s -j2
        expect_status 0
        [ "$(grep -c '^[xy]$' <<<"$output")" = 8 ]
        not grep -i jobserver <<<"$output"
}

# --- signals ---------------------------------------------------------------------------------------------------------

@test "run: signals to paddock reach the program" {
        for name in TERM USR1 USR2 INT HUP QUIT WINCH ALRM; do
                rm -f ready got
                # a shell lets its background processes ignore INT and QUIT
                start env --default-signal=INT,QUIT "$PADDOCK" run --share "$HOME" bash -c "trap 'echo $name >got; exit 5' $name; touch ready
                        while :; do sleep 0.05; done"
                eventually test -e ready
                kill -"$name" "$started"
                ends_with 5
                [ "$(cat got)" = "$name" ]
        done
        nothing_left
}

@test "run: SIGTERM that the program does not handle ends it, and paddock like it" {
        start inside sleep 300
        init=$(eventually init_of "$started")
        eventually grep -q . "/proc/$init/task/$init/children"
        kill -TERM "$started"
        ends_with 143
        nothing_left "$init"
}

@test "run: a program that stops itself stops paddock; SIGCONT continues both" {
        start inside --share "$HOME" sh -c 'touch ready; kill -STOP $$; touch went-on; exit 6'
        eventually stopped "$started"
        not test -e went-on
        kill -CONT "$started"
        ends_with 6
        [ -e went-on ]
}

@test "run: SIGTSTP to paddock stops the program and paddock, nobody else; SIGCONT continues them" {
        # In a session of their own: what stops too much must not stop bats. The group is no orphan, and has a bystander.
        start /usr/bin/python3 -c '
import os, sys
os.setsid()
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    bystander = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "60")
    open("bystander", "w").write(str(bystander))
    os.execv(sys.argv[1], [sys.argv[1], "run", "--share", ".", "sh", "-c", sys.argv[2]])
open("pid", "w").write(str(pid))
status = os.waitpid(pid, 0)[1]
os.kill(int(open("bystander").read()), 9)
sys.exit(os.waitstatus_to_exitcode(status))' "$PADDOCK" 'touch ready; i=0
                while [ $i -lt 400 ]; do i=$((i+1)); echo $i >count; sleep 0.02; [ ! -e finish ] || exit 8; done; exit 9'
        eventually test -e ready
        kill -TSTP "$(cat pid)"
        eventually stopped "$(cat pid)"
        sleep 0.1
        before=$(cat count)
        sleep 0.2
        [ "$(cat count)" = "$before" ]
        bystander=$(is_state "$(cat bystander)" S && echo sleeps || echo stopped)
        touch finish
        kill -CONT "$(cat pid)" "$(cat bystander)"
        ends_with 8
        [ "$bystander" = sleeps ]
}

# --- the end ---------------------------------------------------------------------------------------------------------

@test "run: nothing is left after a normal end, background processes included" {
        start inside --share "$HOME" sh -c 'sleep 301 & echo $! >/dev/null; (setsid sleep 302 &) ; touch ready; sleep 0.1; exit 4'
        init=$(eventually init_of "$started")
        eventually test -e ready
        ends_with 4
        nothing_left "$init"
        not pgrep -u "$(id -u)" -f '^sleep 30[12]$'
}

@test "run: a background process that keeps standard output does not keep paddock" {
        # ends with the environment, so that the reader sees the end of file
        run timeout 20 sh -c '"$PADDOCK" run sh -c "sleep 303 & echo done" | cat'
        expect_status 0
        expect_output "done"
}

# within PID - the processes of the environment whose first process is PID.
within()
{
        local pid list=("$1") i

        for ((i = 0; i < ${#list[@]}; i++)); do
                # shellcheck disable=SC2013
                for pid in $(cat "/proc/${list[i]}/task/${list[i]}/children" 2>/dev/null); do
                        list+=("$pid")
                done
        done
        echo "${list[@]}"
}

@test "run: kill -9 of paddock ends everything inside and leaves nothing" {
        start inside --share "$HOME" sh -c 'sleep 304 & setsid sleep 305 & mkdir -p "$HOME/../out/x"; touch "$HOME/ready"; wait'
        eventually test -e ready
        read -r -a all <<<"$(within "$(init_of "$started")")"
        [ "${#all[@]}" -ge 4 ]
        kill -KILL "$started"
        wait "$started" || true
        nothing_left "${all[@]}"
}

@test "run: kill -9 of the environment's first process ends everything and is told as a failure" {
        start inside --share "$HOME" sh -c 'sleep 306 & touch ready; wait'
        eventually test -e ready
        read -r -a all <<<"$(within "$(init_of "$started")")"
        kill -KILL "${all[0]}"
        code=0
        wait "$started" || code=$?
        [ "$code" -ge 125 ]
        nothing_left "${all[@]}"
}

@test "run: kill -9 of the program alone" {
        start inside --share "$HOME" sh -c 'touch ready; while :; do sleep 0.05; done'
        eventually test -e ready
        read -r -a all <<<"$(within "$(init_of "$started")")"
        kill -KILL "${all[1]}"
        ends_with 137
        nothing_left "${all[@]}"
}

@test "run: kill -9 while the environment is being made leaves nothing for long" {
        for delay in 0 0.001 0.002 0.004 0.006 0.008 0.01 0.015; do
                start inside sleep 307
                sleep "$delay"
                kill -KILL "$started"
                wait "$started" || true
        done
        not eventually_running
        # What was cut off too early is swept by a later start, once it is ten seconds old: pretend that it is.
        inside true
        not grep -F "$PLACE" /proc/self/mountinfo
}
eventually_running() { sleep 0.5; pgrep -u "$(id -u)" -f '^sleep 307$'; }

@test "run: what a killed run left behind is removed by a later one" {
        inside true
        mkdir -p "$XDG_STATE_HOME/paddock/tmp/1-2/layer/0/upper/a/b" "$XDG_STATE_HOME/paddock/tmp/1-2/layer/0/work/work"
        chmod 0 "$XDG_STATE_HOME/paddock/tmp/1-2/layer/0/work/work"
        inside true
        # too young: it could be one that is being made
        [ -d "$XDG_STATE_HOME/paddock/tmp/1-2" ]
        sleep 11
        inside true
        no_temporary
}

@test "run: orphans are reaped" {
        run inside --share "$HOME" sh -c '
                i=0; while [ $i -lt 20 ]; do i=$((i+1)); (sh -c "true & true" &) ; done
                sleep 0.3; grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l'
        expect_output 0
}

@test "run: own process list: the outside is not seen, and pids begin small" {
        run inside sh -c 'echo /proc/[0-9]* | wc -w'
        [ "$output" -le 6 ]
        run inside sh -c "kill -0 $$ && cat /proc/$$/comm"
        [ "$status" != 0 ] || not grep bats <<<"$output"
        run inside cat /proc/1/comm
        expect_output paddock-init
}

@test "run: what a program changes is gone with the environment" {
        echo old >file
        untouched "$HOME" inside sh -c 'echo new >file; echo more >added; cat file added; mkdir d; rm file; touch /tmp/paddock-test-x /var/tmp/paddock-test-x'
        not test -e /tmp/paddock-test-x
        not test -e /var/tmp/paddock-test-x
        [ "$(cat file)" = old ]
        nothing_left
}

@test "run: --memory does the same without the state directory" {
        echo old >file
        untouched "$HOME" inside --memory sh -c 'echo new >file; cat file'
        run inside --memory sh -c 'echo new >file; cat file; df --output=fstype "$HOME" | tail -n 1'
        expect_output $'new\noverlay'
        not test -e "$XDG_STATE_HOME/paddock"
}

@test "run: host name and network of its own" {
        run inside --hostname meadow uname -n
        expect_output meadow
        [ "$(inside uname -n)" = "$(uname -n)" ]
        run inside --net none sh -c 'tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "'
        [[ $output == *lo* ]]
        not grep -E 'eth|ens|enp|wl' <<<"$output"
        run inside --net=none /usr/bin/python3 -c '
import socket
a = socket.create_server(("127.0.0.1", 0))
socket.create_connection(a.getsockname())
print("loopback")'
        expect_output loopback
}

@test "run: many at once, from one place" {
        for i in $(seq 20); do
                start inside sh -c "echo $i >same; sleep 0.1; [ \$(cat same) = $i ]"
        done
        for pid in "${children[@]}"; do
                wait "$pid"
        done
        not test -e same
        nothing_left
}

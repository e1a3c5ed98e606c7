#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# enter.bats - programs in an environment that was started: descriptors, exit codes, signals, terminal, users.

load common

setup_started()
{
        "$PADDOCK" create web
        "$PADDOCK" start web
}

enter() { "$PADDOCK" enter web "$@"; }

@test "enter: streams, arguments, variables, directory and umask arrive" {
        setup_started
        run sh -c 'echo in | "$PADDOCK" enter web sh -c "cat; echo out; echo err >&2" 2>&1'
        expect_output $'in\nout\nerr'
        run enter printf '<%s>' one 'two  words' '' '*'
        expect_output '<one><two  words><><*>'
        mkdir "$HOME/sub dir"
        cd "$HOME/sub dir"
        run env VARIABLE='a  b' "$PADDOCK" enter web sh -c 'pwd; echo "$VARIABLE"; umask'
        expect_output "$HOME/sub dir"$'\na  b\n0022'
        cd "$HOME"
        (umask 077; enter sh -c 'umask') | grep -x 0077
}

@test "enter: files that are redirected are read, and written, but never more" {
        setup_started
        echo outside >in
        run sh -c '"$PADDOCK" enter web cat <in'
        expect_output outside
        sh -c '"$PADDOCK" enter web echo written >out'
        [ "$(cat out)" = written ]
        # What was opened for reading cannot be opened again for writing.
        run sh -c '"$PADDOCK" enter web sh -c "echo bad >/proc/self/fd/0" <in'
        [ "$status" != 0 ]
        [ "$(cat in)" = outside ]
}

@test "enter: a standard descriptor that is closed stays closed" {
        setup_started
        run sh -c '"$PADDOCK" enter web sh -c "test ! -e /proc/self/fd/0 && echo closed" <&-'
        expect_output closed
}

@test "enter: no other descriptor comes along" {
        setup_started
        echo secret >secret
        exec 7<secret 8<"$HOME"
        run enter sh -c 'ls /proc/self/fd | tr "\n" " "'
        exec 7<&- 8<&-
        expect_match '^0 1 2 3 $'
}

@test "enter: exit codes and signals are the program's" {
        setup_started
        run enter sh -c 'exit 42'
        expect_status 42
        run enter sh -c 'kill -TERM $$'
        expect_status 143
        run -127 enter no-such-program
        expect_status 127
        expect_match 'command not found'
        run enter /etc/passwd
        expect_status 126
        run -127 enter /no/such
        expect_status 127
}

@test "enter: signals are passed on, and stops and continues" {
        setup_started
        start "$PADDOCK" enter web sh -c 'trap "echo got >got; exit 9" USR1; while :; do sleep 0.05; done'
        sleep 0.3
        kill -USR1 "$started"
        ends_with 9
        run enter cat got
        expect_output got
        # In a session of its own, where its group is no orphan.
        start /usr/bin/python3 -c '
import os, sys
os.setsid()
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.execv(sys.argv[1], [sys.argv[1], "enter", "web", "sleep", "100"])
open("pid", "w").write(str(pid))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256)' "$PADDOCK"
        eventually test -s pid
        sleep 0.3
        kill -TSTP "$(cat pid)"
        eventually stopped "$(cat pid)"
        run enter sh -c 'ps -C sleep -o stat='
        expect_match '^T'
        kill -CONT "$(cat pid)"
        goes_on() { [[ $(enter ps -C sleep -o stat=) == S* ]]; }
        eventually goes_on
        kill -TERM "$(cat pid)"
        ends_with 241
}

@test "enter: when its paddock outside is killed the program is hung up" {
        setup_started
        start "$PADDOCK" enter web sh -c 'trap "echo hung >hung; exit" HUP; while :; do sleep 0.05; done'
        sleep 0.3
        kill -KILL "$started"
        hung() { enter test -e hung; }
        eventually hung
        [ "$(state_of web)" = started ]
        alone() { [ "$("$PADDOCK" ps web | grep -c sleep)" = 0 ]; }
        eventually alone
}

@test "enter: everybody sees the same processes, files and mounts, and may signal the others" {
        setup_started
        start "$PADDOCK" enter web sleep 1000
        sleep 0.3
        enter sh -c 'echo shared >/tmp/shared-by-all'
        run enter cat /tmp/shared-by-all
        expect_output shared
        [ ! -e /tmp/shared-by-all ]
        for namespace in user mnt pid ipc uts net; do
                one=$(enter readlink "/proc/self/ns/$namespace")
                two=$(enter readlink "/proc/self/ns/$namespace")
                [ "$one" = "$two" ]
        done
        run enter pkill sleep
        expect_status 0
        ends_with 143
}

@test "enter: a hundred in a row, and twenty at once" {
        setup_started
        for i in $(seq 100); do
                [ "$(enter echo "$i")" = "$i" ]
        done
        pids=()
        for i in $(seq 20); do
                "$PADDOCK" enter web sh -c "sleep 0.5; exit $i" 3>&- 4>&- &
                pids+=($!)
        done
        for i in $(seq 20); do
                code=0
                wait "${pids[i - 1]}" || code=$?
                [ "$code" = "$i" ]
        done
}

@test "enter: what is not started, and words that it does not take" {
        "$PADDOCK" create web
        fails "'web' is not started.*paddock start web" enter web true
        fails "no environment 'wob'.*did you mean 'web'" enter wob true
        fails 'which environment' enter
        fails "unrecognized option '--no-such'" enter --no-such web
        fails 'takes a user' enter --as= web
        run "$PADDOCK" enter --help
        expect_status 0
        "$PADDOCK" start web
        run enter -- sh -c 'echo dashes'
        expect_output dashes
        run "$PADDOCK" enter -- web echo first
        expect_output first
}

@test "enter: another user, where there are others" {
        setup_started
        run "$PADDOCK" enter --as "$(id -un)" web id -un
        expect_output "$(id -un)"
        fails "there is no user 'no-such-user' inside" enter --as no-such-user web true
        if ! is_root; then
                fails "cannot become 'daemon'" enter --as daemon web true
                return
        fi
        run "$PADDOCK" enter web --as daemon sh -c 'id -un; id -Gn; echo $HOME $USER $LOGNAME'
        expect_output $'daemon\ndaemon\n/usr/sbin daemon daemon'
        run "$PADDOCK" enter --as=4711 web id -u
        expect_output 4711
}

@test "enter: root of an environment, and its users" {
        [ -w /dev/fuse ] || skip "needs /dev/fuse"
        "$PADDOCK" create --as root web
        run "$PADDOCK" start web
        expect_status 0
        [ -z "$output" ] || skip "no subordinate ids: $output"
        run enter sh -c 'id -u; echo $HOME'
        expect_output $'0\n/root'
        run "$PADDOCK" enter --as daemon web sh -c 'id -u; id -g; grep CapEff /proc/self/status'
        expect_match $'^1\n1\nCapEff:\t0000000000000000$'
        # Mounts of one are seen by all.
        enter mount -t tmpfs none /mnt
        enter touch /mnt/made
        run enter ls /mnt
        expect_output made
        run enter sh -c 'chown daemon /mnt/made && stat -c %U /mnt/made'
        expect_output daemon
}

@test "enter: the terminal is one of the environment's own, with job control" {
        setup_started
        cat >drive.py <<'END'
import os, pty, sys, time, select
pid, master = pty.fork()
if pid == 0:
    os.execv(os.environ["PADDOCK"], ["paddock", "enter", "web", "sh", "-i"])
seen = b""
def expect(text, limit=20):
    global seen
    end = time.time() + limit
    while text not in seen:
        if time.time() > end:
            sys.exit("never saw %r in %r" % (text, seen))
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 4096)
    seen = seen[seen.index(text) + len(text):]
os.write(master, b"PS1='prompt> '; echo rea''dy; tty\n")
expect(b"ready"); expect(b"/dev/pts/")
os.write(master, b"sleep 1000\n")
time.sleep(0.5)
os.write(master, b"\x1a")          # Ctrl-Z stops the job, and the shell has the terminal again
expect(b"Stopped")
os.write(master, b"jobs; echo job''s-listed\n")
expect(b"sleep 1000"); expect(b"jobs-listed")
os.write(master, b"fg\n")
time.sleep(0.5)
os.write(master, b"\x03")          # Ctrl-C ends it
os.write(master, b"echo sta''tus $?\n")
expect(b"status 130")
os.write(master, b"exit 5\n")
_, status = os.waitpid(pid, 0)
sys.exit(0 if os.waitstatus_to_exitcode(status) == 5 else "status %r" % status)
END
        run timeout 60 python3 drive.py
        expect_status 0
}

@test "enter: Ctrl-Z stops a program that was entered with, and fg continues it" {
        setup_started
        cat >drive.py <<'END'
import os, pty, sys, time, select
pid, master = pty.fork()
if pid == 0:
    os.execv("/bin/bash", ["bash", "--norc", "-i"])
seen = b""
def expect(text, limit=20):
    global seen
    end = time.time() + limit
    while text not in seen:
        if time.time() > end:
            sys.exit("never saw %r in %r" % (text, seen))
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 4096)
    seen = seen[seen.index(text) + len(text):]
os.write(master, b'PS1="prompt> "; "$PADDOCK" enter web sh -c "echo be""gun; sleep 2; echo do""ne; sleep 3"\n')
expect(b"begun")
time.sleep(0.5) # a child that sh has just made by vfork(), stopped before it is a program, keeps sh from being stopped
os.write(master, b"\x1a")
expect(b"Stopped")
os.write(master, b"fg\n")
expect(b"done")
os.write(master, b"\x03")
time.sleep(0.3)
os.write(master, b"echo sta''tus $?; exit\n")
expect(b"status 130")
END
        run timeout 60 python3 drive.py
        expect_status 0
}

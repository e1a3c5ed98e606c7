#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# ask.bats - rights that are asked for at the first use.

load common
load grants
eval "original_$(declare -f teardown)"
teardown() { end_web; original_teardown; }

# listen - somebody answers; `say LETTER` answers the question that was put last, after a `question REGEX` came.
listen()
{
        mkfifo "$PLACE/answers"
        exec 8<>"$PLACE/answers"
        start sh -c 'exec "$1" ask --listen <"$2" 8>&-' sh "$PADDOCK" "$PLACE/answers" >"$PLACE/questions" 2>&1
        questions=0
        sleep 0.2
}
question() { eventually asked_for "$1"; }
asked_for() { [ "$(grep -cE "$1" "$PLACE/questions")" -gt "$questions" ]; }
say() { questions=$((questions + 1)); echo "$1" >&8; }
# asks [ro|rw] - an environment that asks for $OUT/a, which is not there otherwise.
asks()
{
        needs_fuse
        mkdir -p "$OUT/a" && echo text >"$OUT/a/f" && echo file >"$OUT/b"
        web
        run "$PADDOCK" ask web "$OUT/a" "$@" --at "$HOME/x"
        expect_status 0
}
# reads WHAT - in the background; $read is its output
reads() { start "$PADDOCK" enter web cat "$@" >"$PLACE/read" 2>"$PLACE/failed"; }

@test "ask: the first use waits; no: it is refused, and nobody is asked again for a while" {
        asks
        listen
        run "$PADDOCK" grants web
        expect_match ' asks '
        enter stat "$HOME/x" >/dev/null # this is no use
        reads "$HOME/x/f"
        question 'web: cat .*wants .*/out/a \(tree, ro\)'
        say n
        ends_with 1
        grep -q 'Permission denied' "$PLACE/failed"
        run timeout 2 "$PADDOCK" enter web cat "$HOME/x/f"
        expect_status 1
        audit_has '"event": "asked"'
        audit_has '"event": "denied".*no \('
}

@test "ask: yes, once: that program; the next one asks again" {
        asks
        listen
        start "$PADDOCK" enter web sh -c "read line <$HOME/x/f; echo \$line; while [ ! -e $HOME/go ]; do sleep 0.05; done" >"$PLACE/read"
        question wants
        say o
        eventually grep -q text "$PLACE/read"
        is_held 'revocable'
        enter touch "$HOME/go"
        wait "$started" || true
        back() { is_held ' asks '; }
        eventually back
        reads "$HOME/x/f"
        question wants
        say n
        ends_with 1
}

@test "ask: yes, for this run; and who waits for it gets it too" {
        asks rw
        listen
        pids=()
        for i in 1 2 3 4; do start "$PADDOCK" enter web sh -c "cat $HOME/x/f && echo $i >$HOME/x/$i"; pids+=("$started"); done >"$PLACE/all"
        question wants
        sleep 0.3
        say r
        for pid in "${pids[@]}"; do wait "$pid"; done
        [ "$(grep -c text "$PLACE/all")" = 4 ]
        [ "$(cat "$OUT/a/4")" = 4 ]
        is_held 'rw  revocable'
        audit_has '"event": "answered".*for this run'
        "$PADDOCK" restart web
        is_not_held "$OUT"
}

@test "ask: always: at later starts as well" {
        asks
        listen
        reads "$HOME/x/f"
        question wants
        say a
        ends_with 0
        grep -q text "$PLACE/read"
        "$PADDOCK" restart web
        [ "$(enter cat "$HOME/x/f")" = text ]
}

@test "ask: for a file, opened for writing" {
        needs_fuse
        echo file >"$OUT/b"
        web
        "$PADDOCK" ask web "$OUT/b" rw --at "$HOME/b"
        listen
        start "$PADDOCK" enter web sh -c "echo written >$HOME/b"
        question '\(file, rw\)'
        say r
        ends_with 0
        [ "$(cat "$OUT/b")" = written ]
}

@test "ask: killing the one who asks takes the question back" {
        asks
        listen
        start "$PADDOCK" enter web sh -c "exec cat $HOME/x/f"
        question wants
        kill -KILL "$started"
        eventually grep -q 'not any more' "$PLACE/questions"
        audit_has '"event": "withdrawn"'
        # a mere SIGTERM as well
        start "$PADDOCK" enter web timeout 0.5 cat "$HOME/x/f"
        ends_with 124
}

@test "ask: a thousand questions are one, and a program that does not stop asking is not heard" {
        asks
        listen
        start "$PADDOCK" enter web python3 -c "
import os, threading
def use():
    try: os.listdir('$HOME/x')
    except OSError: pass
threads = [threading.Thread(target=use) for i in range(200)]
for t in threads: t.start()
for t in threads: t.join()
for i in range(1000): use()
print('done')" >"$PLACE/read"
        question wants
        sleep 0.5
        say n
        eventually grep -q done "$PLACE/read"
        [ "$(grep -c wants "$PLACE/questions")" -le 2 ]
        [ "$(grep -c '"event": "asked"' "$XDG_STATE_HOME/paddock/env/web/audit.jsonl")" -le 2 ]
}

@test "ask: the warden answers while questions are open; stop does not wait for them" {
        asks
        reads "$HOME/x/f"
        eventually audit_has '"event": "asked"'
        [ "$(enter echo still)" = still ]
        SECONDS=0
        "$PADDOCK" stop --now web
        [ "$SECONDS" -lt 2 ]
        ! wait "$started"
}

@test "ask: who comes later to listen is asked what is open; two are asked, one answers" {
        asks
        reads "$HOME/x/f"
        eventually audit_has '"event": "asked"'
        listen
        mkfifo "$PLACE/other"
        exec 9<>"$PLACE/other"
        start sh -c 'exec "$1" ask --listen web <"$2" 8>&- 9>&-' sh "$PADDOCK" "$PLACE/other" >"$PLACE/questions2" 2>&1
        question wants
        eventually grep -q wants "$PLACE/questions2"
        say r
        eventually grep -q text "$PLACE/read"
        eventually grep -q 'not any more' "$PLACE/questions2"
}

@test "ask: revoked while somebody waits; what cannot be asked for" {
        asks
        reads "$HOME/x/f"
        eventually audit_has '"event": "asked"'
        take "$OUT/a"
        ends_with 1
        fails "there is no" ask web "$OUT/none"
        fails "holds paddock's own state" ask web "$PLACE"
        fails "which resource" ask web
        fails "is not started" ask --listen nobody || fails "there is no environment" ask --listen nobody
        "$PADDOCK" ask web "$OUT/a" --at "$HOME/x"
        fails "asked for already" grant web "$OUT/a" --at "$HOME/x"
}

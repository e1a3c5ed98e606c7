#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# A program whose connections are put to a server tries to make others: with another thread that changes what a call was made with,
# by calls that connect without connect(), by a flood of them.

load common
load ../bats/served

setup_file() { build reach; }

# reached WAY... - in an environment whose server allows port 80 and refuses 81.
reached()
{
        tool reach
        described web 81=13 82=silent
        run outside "$PADDOCK" run -f web.yaml -- "$TOOLS/reach" "$@"
}

@test "served: the address of a call that another thread changes is the one that was judged" {
        reached address 3
        expect_output 'not reached'
        grep -q 'connect 10.9.8.7 80' said
}

@test "served: a UNIX socket's call is not made with another socket and another name" {
        reached all 3
        expect_output 'not reached'
}

@test "served: no other call connects: fast open, UDP, io_uring, the other ABIs, other families, a second life of a socket" {
        reached others
        expect_match '^connect: Permission denied'
        expect_match 'sendto, fast open: Operation not supported'
        expect_match 'sendmsg, fast open: Operation not supported'
        expect_match 'sendmmsg, fast open: Operation not supported'
        expect_match 'connect, fast open: Permission denied'
        expect_match 'UDP: Network is unreachable'
        expect_match 'io_uring: Function not implemented'
        for family in 40 38 17 31 44 43; do
                expect_match "family $family: Address family not supported by protocol"
        done
        if [ "$(uname -m)" = x86_64 ]; then
                expect_match 'x32: Function not implemented'
                expect_match '32 bit: Function not implemented'
                expect_match '32 bit, socketcall: Function not implemented'
        fi
        expect_match 'disconnect: Operation not supported'
        expect_match 'again: Transport endpoint is already connected'
        expect_match $'\nlisten: Permission denied'
        expect_match 'own listen: done'
        expect_match 'bad number: Bad file descriptor'
        expect_match 'bad size: Invalid argument'
        expect_match 'bad address: Bad address'
        expect_match 'huge size: '
        expect_match 'a file: Socket operation on non-socket'
        not grep -q 'connect 10.9.8.7 8[2-9]' said
}

@test "served: a flood of calls that nobody answers leaves the others answered, and stop at once" {
        tool reach
        described web 82=silent
        "$PADDOCK" create -f web.yaml
        run outside bash -c '
                "$PADDOCK" start web
                "$PADDOCK" enter web -- "$TOOLS/reach" flood 4 & flood=$!
                sleep 1
                "$PADDOCK" enter web -- python3 say.py 10.9.8.7 80
                "$PADDOCK" enter web -- python3 say.py 10.9.8.7 81
                wait $flood
                before=$(date +%s%N)
                "$PADDOCK" stop --grace 0 web
                echo $((($(date +%s%N) - before) / 1000000000)) s'
        expect_output $'80\n81\nflooded\n0 s'
}

@test "served: neither the supervisor nor its server, nor what they are told by, is seen or reached inside" {
        described web
        "$PADDOCK" create -f web.yaml
        run outside bash -c '
                "$PADDOCK" start web
                "$PADDOCK" enter web -- sh -c "grep -l supervisor /proc/*/comm; ls \"$XDG_STATE_HOME/paddock/env/web/servers\"; ls -l /proc/self/fd | grep -c socket"
                "$PADDOCK" stop web'
        [[ $output != *'/comm'* ]]
        expect_match 'No such file'
        expect_match $'\n0$'
}

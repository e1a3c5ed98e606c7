#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Daemons inside that give up root's rights: installed, started, used, stopped. A machine whose policy-rc.d forbids that packages
# start services has it inside too, so they are started by their own scripts.

load root

setup_file() { root_prepare nginx-light postgresql openssh-server curl; }
teardown_file() { root_end; }

# A port that nobody listens on, the network being the main system's; none that the kernel gives to who asks for any.
free_port()
{
        /usr/bin/python3 -c 'import random, socket
while True:
    s = socket.socket()
    try:
        port = random.randrange(12000, 32000)
        s.bind(("127.0.0.1", port))
        break
    except OSError:
        pass
print(port)'
}

@test "daemons: nginx, its workers as www-data, asked over the loopback interface, reloaded, stopped" {
        run as_root '
                sed -i "s/listen 80 /listen 127.0.0.1:$1 /; /listen \[::\]:80/d" /etc/nginx/sites-available/default
                /etc/init.d/nginx start >/dev/null
                echo grass >/var/www/html/field; chown www-data /var/www/html/field; chmod 400 /var/www/html/field
                curl -sS "http://127.0.0.1:$1/field"
                ps -C nginx -o user= | sort -u
                old=$(pgrep -u www-data nginx | sort | head -1)
                sed -i "s/index index.html/index field/" /etc/nginx/sites-available/default
                /etc/init.d/nginx reload >/dev/null
                for i in $(seq 100); do kill -0 $old 2>/dev/null || break; sleep 0.05; done
                curl -sS "http://127.0.0.1:$1/"
                grep -c " 200 " /var/log/nginx/access.log
                /etc/init.d/nginx stop >/dev/null
                ! pgrep nginx; ! curl -sS "http://127.0.0.1:$1/" 2>/dev/null' "$(free_port)"
        expect_status 0
        expect "grass
root
www-data
grass
2"
        [ ! -e /var/www/html/field ]
}

@test "daemons: a cluster of postgresql is made, started, used and stopped" {
        run as_root '
                cd /; version=$(ls /usr/lib/postgresql | tail -1)
                pg_createcluster -p "$1" --start "$version" meadow >/dev/null
                su postgres -c "psql -p $1 -qAtc \"create table herd (head int); insert into herd values (1), (2)\""
                su postgres -c "psql -p $1 -qAtc \"select count(*) from herd\""
                ps -C postgres -o user= | sort -u
                pg_ctlcluster "$version" meadow stop
                ! pgrep postgres' "$(free_port)"
        expect_status 0
        expect "2
postgres"
}

@test "daemons: the next run of the environment finds the database, and so does one after its processes were killed" {
        run as_root '
                cd /; version=$(ls /usr/lib/postgresql | tail -1)
                pg_ctlcluster "$version" meadow start; port=$(pg_lsclusters -h | awk "/meadow/ {print \$3}")
                su postgres -c "psql -p $port -qAtc \"select sum(head) from herd\""
                su postgres -c "psql -p $port -qAtc \"insert into herd values (4)\""'
        # The end of the run killed the daemon: as a crash of the machine to it.
        expect_status 0
        expect_match $'(^|\n)3$'
        run as_root '
                cd /; version=$(ls /usr/lib/postgresql | tail -1)
                pg_ctlcluster "$version" meadow start >/dev/null 2>&1 || pg_ctlcluster "$version" meadow start >/dev/null 2>&1
                port=$(pg_lsclusters -h | awk "/meadow/ {print \$3}")
                su postgres -c "psql -p $port -qAtc \"select sum(head) from herd\""
                pg_dropcluster --stop "$version" meadow'
        expect_match $'(^|\n)7$'
}

@test "daemons: sshd lets root and a user of the environment in, with a terminal" {
        run as_root '
                id wolf >/dev/null 2>&1 || useradd -m -s /bin/bash wolf
                mkdir -p /run/sshd /root/.ssh /home/wolf/.ssh; chmod 700 /root/.ssh /home/wolf/.ssh
                rm -f /root/.ssh/id_ed25519; ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519
                cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys; cp /root/.ssh/id_ed25519.pub /home/wolf/.ssh/authorized_keys
                chown -R wolf:wolf /home/wolf/.ssh
                /usr/sbin/sshd -o ListenAddress=127.0.0.1 -p "$1"
                go() { ssh -q -o BatchMode=yes -o StrictHostKeyChecking=no -p "$port" "$@"; }; port=$1
                go root@127.0.0.1 id -un; go wolf@127.0.0.1 "id -un; pwd"; go -tt wolf@127.0.0.1 tty; echo kept >/root/from
                scp -q -o BatchMode=yes -P "$port" /root/from wolf@127.0.0.1:to; cat /home/wolf/to; stat -c %U /home/wolf/to
                pkill -o sshd' "$(free_port)"
        expect_status 0
        expect_match $'^root\nwolf\n/home/wolf\n/dev/pts/[0-9]+\r?\nkept\nwolf$'
}

@test "daemons: a port below 1024 is the main system's; in a network of its own it is free" {
        run paddock run -n "$LAB" -- python3 -c 'import socket; socket.socket().bind(("127.0.0.1", 79))'
        expect_match 'Permission denied'
        paddock run --as root --net none -- python3 -c 'import socket; socket.socket().bind(("127.0.0.1", 79))'
}

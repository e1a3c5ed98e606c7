#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What programs do with files, mounts and namespaces as root inside, over the main system's files and over the layer's.

load root

setup_file() { root_prepare; }
teardown_file() { root_end; }

# python SCRIPT - run inside; what it needs is at hand.
python()
{
        run paddock run -n "$LAB" -- /usr/bin/python3 -c "import ctypes, errno, fcntl, mmap, os, select, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
def gives(code, function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        assert error.errno == code, error
    else:
        raise AssertionError('no error')
$1
print('good')"
        expect good
}

@test "files: O_TMPFILE gets a name; RENAME_EXCHANGE and RENAME_NOREPLACE, of the main system's files too" {
        python '
recent = tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 10)
if not recent: # overlay has none
    gives(errno.EOPNOTSUPP, os.open, b"/srv", os.O_TMPFILE | os.O_RDWR, 0o600)
for directory in (b"/srv", b"/etc") if recent else ():
    fd = os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(fd, b"x")
    call("linkat", -100, b"/proc/self/fd/%d" % fd, -100, directory + b"/named", 0x400)
    assert open(directory + b"/named").read() == "x"
hosts, issue = open("/etc/hosts").read(), open("/etc/issue").read()
call("renameat2", -100, b"/etc/hosts", -100, b"/etc/issue", 2)
assert (open("/etc/hosts").read(), open("/etc/issue").read()) == (issue, hosts)
gives(errno.EEXIST, call, "renameat2", -100, b"/etc/hosts", -100, b"/etc/issue", 1)'
        [ ! -e /etc/named ]
}

@test "files: a directory of the main system cannot be renamed by rename(2), but by mv; one of the layer can" {
        python '
gives(errno.EXDEV, os.rename, "/usr/share/zoneinfo/Asia", "/usr/share/zoneinfo/East")
os.mkdir("/etc/a-new"); os.rename("/etc/a-new", "/etc/a-newer")'
        as_root 'mv /usr/share/zoneinfo/Asia /usr/share/zoneinfo/East; [ -f /usr/share/zoneinfo/East/Tokyo ]; [ ! -e /usr/share/zoneinfo/Asia ]'
}

@test "files: locks of all kinds hold between processes, before and after the file is copied up" {
        python '
def child_gets(function):
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
for path in ("/etc/passwd", "/etc/shadow", "/srv/fresh"):
    mine = open(path, "a+")
    def flock(): fcntl.flock(open(path, "a"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    def posix(): fcntl.lockf(open(path, "a"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    for lock, unlock, other in ((lambda: fcntl.flock(mine, fcntl.LOCK_EX), lambda: fcntl.flock(mine, fcntl.LOCK_UN), flock),
                                (lambda: fcntl.lockf(mine, fcntl.LOCK_EX), lambda: fcntl.lockf(mine, fcntl.LOCK_UN), posix),
                                (lambda: fcntl.fcntl(mine, 37, whole), lambda: mine.close(), posix)):
        lock()
        assert not child_gets(other), path
        unlock()
        assert child_gets(other), path
reader = open("/etc/services")
fcntl.flock(reader, fcntl.LOCK_SH)
assert child_gets(lambda: fcntl.flock(open("/etc/services"), fcntl.LOCK_SH | fcntl.LOCK_NB))
assert not child_gets(lambda: fcntl.flock(open("/etc/services"), fcntl.LOCK_EX | fcntl.LOCK_NB))'
}

@test "files: shared maps are shared, of the main system's files and between processes" {
        python '
path = "/etc/services"
before = open(path, "rb").read()
file = open(path, "r+b")
shared = mmap.mmap(file.fileno(), 0)
if os.fork() == 0:
    again = open(path, "r+b")
    other = mmap.mmap(again.fileno(), 0)
    other[0:4] = b"COWS"
    os._exit(0)
os.wait()
assert shared[0:4] == b"COWS"
shared.flush()
assert open(path, "rb").read() == b"COWS" + before[4:]'
        [ "$(head -c4 /etc/services)" != COWS ]
}

@test "files: inotify tells what is done inside, in directories of the main system too" {
        python '
watch = libc.inotify_init1(0o4000)
for directory in ("/srv", "/usr/share/doc"):
    libc.inotify_add_watch(watch, directory.encode(), 0x100)
    open(directory + "/created", "w").close()
    assert select.select([watch], [], [], 5)[0]
    assert b"created" in os.read(watch, 4096)'
}

@test "files: holes, allocation, long names, names with newlines, hard links, fifos, sockets" {
        python '
big = open("/srv/big", "w+b")
big.truncate(4 << 30)
assert os.stat("/srv/big").st_blocks == 0
big.seek(3 << 30); big.write(b"x"); big.flush()
assert os.lseek(big.fileno(), 0, os.SEEK_DATA) == 3 << 30
os.posix_fallocate(big.fileno(), 0, 1 << 20)
call("fallocate", big.fileno(), 3, ctypes.c_long(0), ctypes.c_long(1 << 19))
for name in ("n" * 255, "a\nb", "\xff\xfe", " "):
    open("/srv/" + name, "w").close()
    assert name in os.listdir("/srv")
gives(errno.ENAMETOOLONG, open, "/srv/" + "n" * 256, "w")
gives(errno.ENAMETOOLONG, os.stat, "/usr/" + "n" * 256)
os.link("/etc/services", "/etc/services.too")
assert os.stat("/etc/services").st_nlink == 2 and os.path.samefile("/etc/services", "/etc/services.too")
os.mkfifo("/etc/fifo")
server = socket.socket(socket.AF_UNIX); server.bind("/etc/socket"); server.listen()
socket.socket(socket.AF_UNIX).connect("/etc/socket")'
}

@test "files: names of the main system that are long or have newlines are seen and changed" {
        local long
        long=$(printf 'n%.0s' {1..255})
        mkdir "$SPOT/odd"
        echo a >"$SPOT/odd/$long"
        echo b >"$SPOT/odd/"$'one\ntwo'
        run as_root 'cd "$1"; for f in *; do echo more >>"$f"; done; cat ./*; ls | wc -l; rm ./*; ls' "$SPOT/odd"
        expect $'a\nmore\nb\nmore\n3'
        [ "$(cat "$SPOT/odd/$long")" = a ]
}

@test "files: ACLs that are set inside are kept and hold; those of the main system are not shown" {
        touch "$SPOT/listed"
        setfacl -m u:www-data:rw "$SPOT/listed"
        run as_root 'chmod 640 /etc/issue; setfacl -m u:www-data:rw /etc/issue
                su www-data -s /bin/sh -c "echo moo >>/etc/issue"; tail -1 /etc/issue; getfacl -pc /etc/issue | grep www-data
                getfacl -pc "$1/listed" | grep -c www-data || true' "$SPOT"
        expect "moo
user:www-data:rw-
0"
}

@test "files: capabilities and attributes of files set inside hold for users inside" {
        run as_root 'cp /usr/bin/chown /usr/local/bin/give; setcap cap_chown+ep /usr/local/bin/give; getcap /usr/local/bin/give
                touch /srv/given; su nobody -s /bin/sh -c "/usr/local/bin/give nobody /srv/given"; stat -c %U /srv/given
                setfattr -n user.a -v b /etc/hosts; getfattr --absolute-names -n user.a --only-values /etc/hosts; echo
                ! setfattr -n trusted.a -v b /etc/hosts 2>/dev/null'
        expect_status 0
        expect "/usr/local/bin/give cap_chown=ep
nobody
b"
}

@test "files: a capability for raw sockets is of use in a network of the environment's own" {
        run "$PADDOCK" run --as root --net none -- sh -c 'cp /usr/bin/python3 /usr/local/bin/raw; setcap cap_net_raw+ep /usr/local/bin/raw
                su nobody -s /bin/sh -c "/usr/local/bin/raw -c \"import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print(7)\""'
        expect 7
        run as_root "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'"
        expect_match 'Operation not permitted'
}

@test "files: device nodes cannot be made, and opening those of the main system fails" {
        python '
gives(errno.EPERM, os.mknod, "/srv/null", 0o20666, os.makedev(1, 3))
gives(errno.EPERM, os.mknod, "/srv/disk", 0o60666, os.makedev(7, 0))
os.mknod("/srv/plain", 0o100644)'
}

@test "files: mounts of tmpfs, bind and overlay; proc in a process space of one's own" {
        run as_root 'mkdir -p /srv/m /srv/u; mount -t tmpfs t /srv/m; echo x >/srv/m/f; mkdir /srv/m/up /srv/m/work
                mount --bind /etc /srv/u; cat /srv/u/hostname >/dev/null; umount /srv/u
                mount -t overlay o -o userxattr,lowerdir=/etc,upperdir=/srv/m/up,workdir=/srv/m/work /srv/u
                echo y >/srv/u/hosts; [ "$(cat /srv/m/up/hosts)" = y ]; [ "$(cat /etc/hosts)" != y ]; umount /srv/u /srv/m; ls /srv/m
                unshare --pid --fork --mount-proc ps -e -o comm=
                mount -t proc p /srv/m 2>&1 | grep -c "permission denied"'
        expect_status 0
        expect "ps
1"
        run as_root 'umount -l / 2>&1 || true; umount /proc 2>&1 || true; mount -o remount,rw /sys 2>&1 || true; test -d /etc; echo stands'
        expect_match 'stands$'
}

@test "files: namespaces inside: unshare, as a user too, and bubblewrap" {
        run as_root 'unshare -r id -u; su www-data -s /bin/sh -c "unshare -Ur id -u; unshare -Urn true; unshare -Urm mount -t tmpfs t /mnt"
                bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all -- sh -c "id -u; ls /proc | grep -c ^[0-9]"
                su "$1" -s /bin/sh -c "cd /; bwrap --ro-bind / / --proc /proc --unshare-pid id -u"' "$(id -un)"
        expect_status 0
        expect_match $'^0\n0\n0\n[0-9]+\n'"$(id -u)"'$'
}

ended_in() { [ "$(tail -1 "$1")" = ended ]; }

@test "files: a name that was looked for before others appeared outside is found when it appears" {
        mkdir "$SPOT/late"
        "$PADDOCK" run -n "$LAB" -- sh -c 'cd "$1"; until [ -e first ]; do [ -e stop ] || sleep 0.05; done; echo first
                for i in $(seq 100); do [ ! -e stop ] || break; sleep 0.05; done; [ -e stop ] && echo ended' - "$SPOT/late" >late.log 3>&- 4>&- &
        looker=$!
        sleep 0.5
        touch "$SPOT/late/first"
        eventually grep -q first late.log
        sleep 0.5
        touch "$SPOT/late/stop"
        wait "$looker"
        ended_in late.log
}

@test "files: those outside are replaced, removed, turned into directories and back while they are looked at" {
        mkdir "$SPOT/live"
        echo 1 >"$SPOT/live/f"
        "$PADDOCK" run -n "$LAB" -- sh -c 'cd "$1"; while [ ! -e stop ]; do cat f f/* 2>/dev/null; ls -lR . ; done; echo ended' - "$SPOT/live" >live.log 2>&1 3>&- 4>&- &
        looker=$!
        for i in $(seq 60); do
                echo "$i" >"$SPOT/live/new"
                mv -f "$SPOT/live/new" "$SPOT/live/f" 2>/dev/null
                rm -rf "$SPOT/live/f"
                mkdir "$SPOT/live/f"
                echo "in $i" >"$SPOT/live/f/x"
                rm -rf "$SPOT/live/f"
                ln -s /etc/shadow "$SPOT/live/f"
                rm -f "$SPOT/live/f"
        done
        echo last >"$SPOT/live/f"
        run as_root 'sleep 0.5; cat "$1/live/f"; echo own >"$1/live/f"; cat "$1/live/f"' "$SPOT"
        expect "last
own"
        touch "$SPOT/live/stop"
        eventually ended_in live.log
        wait "$looker"
        [ "$(tail -1 live.log)" = ended ]
        [ "$(cat "$SPOT/live/f")" = last ]
}

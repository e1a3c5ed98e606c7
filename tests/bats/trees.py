# SPDX-License-Identifier: GPL-3.0-or-later
"""Random trees, random changes to them, and all that can be seen of one, as text.

    trees.py make SEED DIR        fills DIR
    trees.py change SEED DIR [N]  N random operations in DIR
    trees.py show DIR             a line a name: type, mode, owner, size, time, content, attributes, links
"""

import hashlib
import os
import random
import shutil
import stat
import subprocess
import sys

WORDS = ["a", "b", "c", "dir", "x.txt", "sub", "z", "B", "name with blank", "new\nline", "\udcff\udcfe", "-n", "ä", "esc\x1b[31m", "..."]


def entries(top, kind=None):
    """Every name below `top`, of the kinds that are asked for, in a fixed order."""
    found = []
    for directory, directories, files in os.walk(top):
        directories.sort()
        for name in sorted(directories + files):
            path = os.path.join(directory, name)
            mode = os.lstat(path).st_mode
            if kind is None or kind(mode):
                found.append(path)
    return found


def directories(top):
    return [top] + entries(top, stat.S_ISDIR)


def content(rng):
    size = rng.choice([0, 1, 10, 100, 5000, 70000])
    return bytes(rng.getrandbits(8) for _ in range(min(size, 64))) * (size // 64 + 1) if size else b""


def write(rng, path):
    with open(path, "wb") as file:
        data = content(rng)
        if rng.random() < 0.1:
            file.seek(rng.randrange(1 << 18))
        file.write(data)
    if rng.random() < 0.2:
        os.setxattr(path, "user.test", b"%d" % rng.randrange(99))
    if rng.random() < 0.4:
        os.chmod(path, rng.choice([0o600, 0o644, 0o755, 0o640, 0o444, 0o4711, 0o2755]))


def fresh(rng, top):
    for _ in range(20):
        path = os.path.join(rng.choice(directories(top)), rng.choice(WORDS))
        if not os.path.lexists(path):
            return path
    return None


def add(rng, top, links):
    path = fresh(rng, top)
    if not path:
        return
    what = rng.randrange(10 if links else 9)
    if what < 4:
        write(rng, path)
    elif what < 7:
        os.mkdir(path, rng.choice([0o755, 0o700, 0o750]))
    elif what == 7:
        os.symlink(rng.choice(["a", "../a", "/etc/passwd", "nowhere", "."]), path)
    elif what == 8:
        os.mkfifo(path, 0o640)
    else:
        files = entries(top, stat.S_ISREG)
        if files:
            os.link(rng.choice(files), path)


def remove(path):
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def change(rng, top):
    everything = entries(top)
    what = rng.randrange(12)
    if what < 3 or not everything:
        add(rng, top, True)
        return
    path = rng.choice(everything)
    mode = os.lstat(path).st_mode
    if what == 3:
        remove(path)
    elif what == 4:
        remove(path)
        rng.choice([lambda: write(rng, path), lambda: os.mkdir(path), lambda: os.symlink("x", path)])()
    elif what == 5 and not stat.S_ISLNK(mode):
        os.chmod(path, rng.choice([0o700, 0o755, 0o711]) if stat.S_ISDIR(mode) else rng.choice([0o600, 0o666, 0o755]))
    elif what == 6 and stat.S_ISREG(mode) and os.access(path, os.W_OK):
        with open(path, "ab") as file:
            file.write(b"more")
    elif what == 7 and stat.S_ISREG(mode) and os.access(path, os.W_OK):
        with open(path, "r+b") as file:
            file.truncate(rng.randrange(1000))
    elif what == 8 and stat.S_ISREG(mode) and os.access(path, os.W_OK):
        os.setxattr(path, "user.other", b"%d" % rng.randrange(9))
    elif what == 9:
        to = fresh(rng, top)
        if to and not to.startswith(path + "/"):
            subprocess.run(["mv", "-T", "--", path, to], check=True)
    elif what == 10:
        os.utime(path, (rng.randrange(10**9), rng.randrange(10**9)), follow_symlinks=False)
    elif what == 11 and stat.S_ISREG(mode):  # as editors write
        other = os.path.join(os.path.dirname(path), ".swp")
        write(rng, other)
        os.rename(other, path)


def show(top):
    """Times of directories and of what was only touched differ on purpose, so only files with content have theirs."""
    names, lines = {}, []
    for path in [top] + entries(top):
        info = os.lstat(path)
        words = [stat.filemode(info.st_mode), str(info.st_uid), str(info.st_gid)]
        if stat.S_ISREG(info.st_mode):
            with open(path, "rb") as file:
                words += [str(info.st_size), hashlib.sha1(file.read()).hexdigest()]
        elif stat.S_ISLNK(info.st_mode):
            words.append(os.readlink(path))
        if not stat.S_ISLNK(info.st_mode):
            words += [f"{name}={os.getxattr(path, name)!r}" for name in sorted(os.listxattr(path))
                      if not name.startswith("security.")]
        if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1:
            words.append("is " + names.setdefault((info.st_dev, info.st_ino), os.path.relpath(path, top)))
        lines.append(repr(os.path.relpath(path, top)) + " " + " ".join(words))
    print("\n".join(lines).encode("utf-8", "surrogateescape").decode("ascii", "backslashreplace"))


def main():
    verb, rest = sys.argv[1], sys.argv[2:]
    if verb == "show":
        show(rest[0])
        return
    rng = random.Random(int(rest[0]))
    if verb == "make":
        for _ in range(40):
            add(rng, rest[1], False)
    else:
        for _ in range(int(rest[2]) if len(rest) > 2 else 25):
            change(rng, rest[1])


main()

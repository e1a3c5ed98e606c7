#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grants, revokes, enters and kills at random, and looks whether what was promised holds.

    grantstress.py PADDOCK HOME OUT SECONDS [SEED]

The environment "web" is started; it sees an empty HOME. OUT/N are trees with a file "f". Checked: a grant is seen once `grant` has
returned; once `revoke` has returned, a descriptor that was opened before reads nothing; nothing is ever written through a read-only
grant; the warden answers within two seconds; what is listed is what was given and not taken back.
"""
import json
import os
import random
import subprocess
import sys
import time

paddock, home, out, seconds = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
seed = int(sys.argv[5]) if len(sys.argv) > 5 else int(time.time())
chance = random.Random(seed)
print("seed", seed, flush=True)

COUNT = 12
HOLDER = r"""
import os, sys
# says "open", waits for a line, says what it reads then
fd = os.open(sys.argv[1], os.O_RDONLY)
print("open", flush=True)
if not sys.stdin.readline():
    sys.exit()  # its starter was killed
try:
    print("read " + os.pread(fd, 10, 0).decode().strip(), flush=True)
except OSError as e:
    print("dead", flush=True)
try:
    with open(sys.argv[1] + ".w", "w") as f: f.write("w")
    print("written", flush=True)
except OSError:
    print("refused", flush=True)
"""


def run(*words, check=True, patience=10):
    begun = time.monotonic()
    done = subprocess.run([paddock, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=patience)
    if check and done.returncode:
        raise SystemExit(f"paddock {' '.join(words)}: {done.returncode} {done.stderr}")
    return done, time.monotonic() - begun


def require(good, what):
    if not good:
        raise SystemExit("not so: " + what)


for i in range(COUNT):
    os.mkdir(f"{out}/{i}")
    with open(f"{out}/{i}/f", "w") as f:
        f.write(f"text{i}\n")

given = {}      # i -> (rw, plain)
holders = []    # (i, process, plain, rw, generation)
generation = [0] * COUNT
counts = {}


def count(what):
    counts[what] = counts.get(what, 0) + 1


def grant(i):
    rw, plain = chance.random() < 0.5, chance.random() < 0.2
    words = ["grant", "web", f"{out}/{i}", "rw" if rw else "ro", "--at", f"{home}/{i}"]
    if plain:
        words.append("--plain")
    elif chance.random() < 0.1:
        words += ["--for", "1h"]
    if i in given:
        done, _ = run(*words, check=False)
        require(done.returncode == 125 and "already" in done.stderr, f"a second grant is refused: {done.stderr}")
        return
    run(*words)
    given[i] = (rw, plain)
    count("grant")


def enter(i):
    done, _ = run("enter", "web", "cat", f"{home}/{i}/f", check=False)
    if i in given:
        require(done.stdout == f"text{i}\n", f"{i} is seen: {done.stdout!r} {done.stderr!r}")
    else:
        require("text" not in done.stdout, f"{i} is not seen: {done.stdout!r}")
    count("enter")


def hold(i):
    if i not in given or len(holders) > 20:
        return
    process = subprocess.Popen([paddock, "enter", "web", "python3", "-c", HOLDER, f"{home}/{i}/f"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    require(process.stdout.readline() == "open\n", f"{i} can be opened")
    holders.append((i, process, *given[i], generation[i]))
    count("hold")


def let_go(n):
    i, process, rw, plain, age = holders.pop(n)
    process.stdin.write("\n")
    process.stdin.flush()
    read, wrote = process.stdout.readline().strip(), process.stdout.readline().strip()
    process.wait(10)
    alive = age == generation[i]
    if alive or plain:
        require(read == f"read text{i}", f"{i} is readable: {read}")
    else:
        require(read == "dead", f"{i} was revoked, and is dead: {read}")
    if alive:
        require((wrote == "written") == rw, f"{i} rw={rw}: {wrote}")
    if os.path.exists(f"{out}/{i}/f.w"):
        require(wrote == "written", "only what was written is there")
        os.unlink(f"{out}/{i}/f.w")
    count("let go")


def revoke(i):
    done, _ = run("revoke", "web", f"{out}/{i}", check=False)
    require((done.returncode == 0) == (i in given), f"revoke of {i}: {done.stderr}")
    if i in given:
        del given[i]
        generation[i] += 1
        count("revoke")


def kill():
    if holders:
        _, process, _, _, _ = holders.pop(chance.randrange(len(holders)))
        process.kill()
        process.wait()
        count("kill")


def listed():
    done, took = run("grants", "web", "--json")
    require(took < 2, f"the warden answers: {took}")
    held = {g["resource"]: (g["mode"] == "rw", g["type"] == "plain") for g in json.loads(done.stdout)}
    require(held == {f"{out}/{i}": g for i, g in given.items()}, f"what is listed is what was given: {held} {given}")
    count("list")


end = time.monotonic() + seconds
while time.monotonic() < end:
    i = chance.randrange(COUNT)
    chance.choice([grant, grant, enter, hold, hold, revoke, lambda _: kill(), lambda _: listed(),
                   lambda _: holders and let_go(chance.randrange(len(holders)))])(i)
while holders:
    let_go(0)
run("revoke", "web", "--all")
given.clear()
listed()
for i in range(COUNT):
    with open(f"{out}/{i}/f") as f:
        require(f.read() == f"text{i}\n", "nothing was changed")
print(counts)

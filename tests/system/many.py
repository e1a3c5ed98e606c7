#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many environments at once: started, listed, entered, granted something, and stopped, without a growing cost for each.

Usage: many.py PADDOCK NUMBER. Prints what each step took (median of the first and of the last tenth, in ms) and the memory of all
wardens and first processes; fails when something does not work, or when the last ones cost much more than the first.
"""

import os
import statistics
import subprocess
import sys
import time

PADDOCK, NUMBER = sys.argv[1], int(sys.argv[2])
STATE = os.environ["XDG_STATE_HOME"] + "/paddock/env"
HOME = os.environ["HOME"]
TENTH = max(NUMBER // 10, 5)
MORE = 3.0  # how many times as much the last ones may take: other programs of the machine make noise
names = [f"m{i}" for i in range(NUMBER)]
failures = []


def call(*words):
    """Runs paddock; returns its output and the ms that it took."""
    began = time.monotonic()
    done = subprocess.run([PADDOCK, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    took = (time.monotonic() - began) * 1000
    if done.returncode:
        failures.append(f"{' '.join(words)[:80]}: {done.returncode}, {done.stderr.strip()}")
    return done.stdout, took


def each(title, *words, expected=None):
    """The command for every environment; @ stands for its name."""
    took = []
    for name in names:
        output, ms = call(*(word.replace("@", name) for word in words))
        if expected is not None and output.strip() != expected.replace("@", name):
            failures.append(f"{title} {name}: {output!r}")
        took.append(ms)
    first, last = statistics.median(took[:TENTH]), statistics.median(took[-TENTH:])
    print(f"{title:8} {first:8.1f} first {last:8.1f} last", flush=True)
    if last > MORE * first + 10:
        failures.append(f"{title}: {first:.1f} ms grew to {last:.1f}")


def proportional(pid):
    """KiB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def processes(name):
    """The first process of the environment, and its warden."""
    init = int(os.listdir(f"{STATE}/{name}/runs")[0])
    with open(f"/proc/{init}/status", encoding="ascii") as file:
        return init, next(int(line.split()[1]) for line in file if line.startswith("PPid:"))


def list_all(state):
    output, took = call("list")
    counted = sum(line.split()[1] == state for line in output.splitlines()[1:])
    if counted != NUMBER:
        failures.append(f"{counted} of {NUMBER} are {state}")
    return took


os.makedirs(f"{HOME}/granted", exist_ok=True)
with open(f"{HOME}/granted/f", "w", encoding="ascii") as granted:
    granted.write("granted\n")
each("create", "create", "@")
each("start", "start", "@")
if not failures:
    pids = [pid for name in names for pid in processes(name)]
    print(f"memory   {sum(map(proportional, pids)) / NUMBER:8.0f} KiB for each (PSS of warden and init)")
    print(f"list     {list_all('started'):8.1f} all")
each("enter", "enter", "@", "sh", "-c", "echo $PADDOCK_NAME", expected="@")
if os.access("/dev/fuse", os.R_OK | os.W_OK):
    each("grant", "grant", "@", f"{HOME}/granted", "--at", f"{HOME}/seen")
    each("read", "enter", "@", "cat", f"{HOME}/seen/f", expected="granted")
    each("revoke", "revoke", "@", "--all")
_, stopped = call("stop", *names)
print(f"stop     {stopped / NUMBER:8.1f} each, {stopped:.0f} all")
list_all("stopped")
each("rm", "rm", "@")
for failure in failures[:20]:
    print(failure)
sys.exit(1 if failures else 0)

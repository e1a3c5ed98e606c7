#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts, enters, stops, kills and runs a few environments at random and at the same time, then looks at what is left.

Usage: living.py PADDOCK SECONDS. What must hold all the time: every command comes back; what is entered and ends well has said what
it should; a word that was written into a layer is there ever after. At the end: everything can be stopped, nothing lives any more, and
every environment starts and works again.
"""

import glob
import os
import random
import signal
import subprocess
import sys
import threading
import time

PADDOCK, SECONDS = sys.argv[1], float(sys.argv[2])
STATE = os.environ["XDG_STATE_HOME"] + "/paddock"
NAMES = ["one", "two", "three"]
LIMIT = 60  # seconds for any command, on a machine that does much else
failures, counts = [], {}


def fail(*words):
    failures.append(" ".join(str(word) for word in words))


def call(*words, expected=(0, 125)):
    counts[words[0]] = counts.get(words[0], 0) + 1
    try:
        done = subprocess.run([PADDOCK, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        fail("does not end:", *words)
        return None, ""
    if done.returncode not in expected:
        fail("status", done.returncode, "of", *words, done.stderr)
    return done.returncode, done.stdout


# A program may be killed, or hung up, with its environment.
ENDED = (0, 125, -9, -1, -15)


def enter(name, rng):
    token = f"{rng.random()}"
    status, output = call("enter", name, "sh", "-c", f"echo {token} >>$HOME/words; echo {token}", expected=ENDED)
    if status == 0 and output.strip() != token:
        fail("entered", name, "and heard", repr(output))


def run(name, rng):
    status, output = call("run", "-n", name, "sh", "-c", "echo run", expected=ENDED)
    if status == 0 and output.strip() != "run":
        fail("ran", name, "and heard", repr(output))


def hang(name, rng):
    """Enters, and is killed outside."""
    with subprocess.Popen([PADDOCK, "enter", name, "sleep", "30"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as client:
        time.sleep(rng.random() / 5)
        client.kill()


def kill(name, rng):
    """The warden, init, or both are killed."""
    for record in glob.glob(f"{STATE}/env/{name}/runs/*"):
        try:
            init = int(os.path.basename(record))
            with open(f"/proc/{init}/status", encoding="ascii") as status:
                text = status.read()
            if "paddock" not in text.split("\n", 1)[0]:
                continue
            parent = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("PPid:"))
            victims = rng.choice([[init], [parent], [init, parent]])
            for victim in victims:
                with open(f"/proc/{victim}/comm", encoding="ascii") as comm:
                    if comm.read().startswith("paddock"):
                        os.kill(victim, signal.SIGKILL)
        except (OSError, StopIteration, ValueError):
            pass


ACTIONS = [(enter, 10), (run, 3), (hang, 3), (kill, 1),
           (lambda name, rng: call("start", name), 6), (lambda name, rng: call("list"), 2), (lambda name, rng: call("ps", name), 2),
           (lambda name, rng: call("stop", "--now", name), 1), (lambda name, rng: call("stop", "--grace", "1", name), 1),
           (lambda name, rng: call("restart", "--now", name), 1)]


def work(number, end):
    rng = random.Random(number)
    actions = [action for action, weight in ACTIONS for _ in range(weight)]
    while time.monotonic() < end and not failures:
        rng.choice(actions)(rng.choice(NAMES), rng)


def alive():
    """Processes of ours that belong to one of the environments."""
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as file:
                variables = file.read().split(b"\0")
                if any(f"PADDOCK_NAME={name}".encode() in variables for name in NAMES):
                    found.append(path.split("/")[2])
        except OSError:
            pass
    return found


def main():
    for name in NAMES:
        with open(f"{name}.yaml", "w", encoding="ascii") as file:
            file.write(f"name: {name}\nrun:\n  - [sleep, '1000']\n  - {{command: sleep 0.3, restart: always}}\n")
        call("create", "-f", f"{name}.yaml", expected=(0,))
    end = time.monotonic() + SECONDS
    threads = [threading.Thread(target=work, args=(number, end)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in NAMES:
        call("stop", "--now", name, expected=(0,))
    patience = time.monotonic() + 30
    while alive() and time.monotonic() < patience:
        time.sleep(0.1)
    if alive():
        fail("still alive:", *alive())
    for name in NAMES:
        call("start", name, expected=(0,))
        status, output = call("enter", name, "cat", os.path.expanduser("~/words"), expected=(0, 1))
        if status == 0 and any(not line.startswith("0.") and "e-" not in line for line in output.splitlines()):
            fail("words of", name, "are damaged:", repr(output[-200:]))
        call("stop", name, "--grace", "5", expected=(0,))
        call("rm", name, expected=(0,))
    print(counts)
    for failure in failures:
        print(failure)
    return 1 if failures else 0


sys.exit(main())

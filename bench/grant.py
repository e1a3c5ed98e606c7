# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of `make bench` about grants that can be taken back: files-grant against a bind mount of the same tree.

The server is driven by what its tests drive it with (grants.c), so that it alone is measured: what the warden adds is not in
these rows. Work in the grant and in the bind mount is done in the same namespaces, in turn.
"""

import os
import shutil
import statistics
import subprocess
import time

import machine

FILES, STATS, MIB, OPEN = 2000, 200000, 128, 1000


class Driver:
    """grants.c, told what to do a line at a time."""

    def __init__(self, bench):
        self.place = f"{bench.place}/tmp/grants"
        os.makedirs(self.place)
        self.process = subprocess.Popen(
            [f"{bench.place}/bin/grants", f"{self.place}/pids", f"{self.place}/events", f"{bench.place}/bin/paddock-files-grant"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )
        for _ in range(500):
            if os.path.exists(f"{self.place}/pids") or self.process.poll() is not None:
                break
            time.sleep(0.01)
        with open(f"{self.place}/pids", encoding="ascii") as file:
            inner = file.read().split()[0]
        self.enter = ["nsenter", "--target", inner, "--user", "--mount", "--preserve-credentials", "--"]

    def say(self, words):
        self.process.stdin.write(words + "\n")
        return self.process.stdout.readline().strip()

    def must(self, words):
        told = self.say(words)
        if not told.startswith(("ok", "done")):
            raise OSError(f"files-grant: {words.split()[0]}: {told}")
        return told

    def end(self):
        self.process.stdin.write("end\n")
        self.process.wait(timeout=20)
        shutil.rmtree(self.place, ignore_errors=True)


def microseconds(told):
    return int(told.rpartition("us=")[2])


def compare(bench, driver, argv, n):
    """Runs `argv` ({} is the directory) in the grant and in the bind mount, in turn. {way: [{name: [ms]}]}"""
    ways = {"grant": "/mnt/1", "bind": "/mnt/bind"}
    runs = {way: [] for way in ways}
    for turn in range(n):
        for way in list(ways) if turn % 2 == 0 else list(reversed(ways)):
            output = bench.command([*driver.enter, bench.work, *[word.replace("{}", ways[way]) for word in argv]])
            names = {}
            for line in output.splitlines():
                name, ns = line.split()
                names.setdefault(name, []).append(int(ns) / 1e6)
            runs[way].append(names)
    return runs


def work(bench, driver):
    rows = (
        ("grant-stat", f"stat of a name that is known, {STATS:,} times", ["stat", "{}/file", str(STATS)], "stat", 0,
         {"floor": 1.5, "goal": 1.2}),
        ("grant-write", f"write {MIB} MiB, sequentially", ["write", "{}/new", str(MIB)], "write", 0,
         {"floor": 0.3, "goal": 0.8, "speed": True}),
        ("grant-read", f"read {MIB} MiB again", ["read", "{}/old"], "read", 0, {"floor": 0.9, "goal": 1.0, "speed": True}),
        ("grant-small-first", f"open, read and close {FILES:,} small files, first touch", ["small", "{}", str(FILES)], "small",
         slice(0, 1), {"floor": 25, "goal": 8}),
        ("grant-small", f"open, read and close {FILES:,} small files again", ["small", "{}", str(FILES)], "small",
         slice(1, None), {"floor": 25, "goal": 8}),
    )
    for key, what, argv, name, pick, bounds in rows:
        if key.endswith("first"):
            time.sleep(1.2)  # what the kernel was told is forgotten
        runs = compare(bench, driver, argv, bench.times(7, 1))
        pick = pick or slice(None)
        ours = [ms for run in runs["grant"] for ms in run[name][pick]]
        peer = [ms for run in runs["bind"] for ms in run[name][slice(1, None) if key.startswith("grant-small") else pick]]
        bench.add(key, what, "grant", ours, "bind mount", peer, **bounds)
        bench.values[key] = statistics.median(ours) / statistics.median(peer)


def life(bench, driver, data):
    """Coming and going, the mount in it; a revoke while files are open."""
    count = bench.times(200, 20)
    added = [microseconds(driver.must(f"many {count} {data}")) / 1e3]
    driver.must(f"none {count}")
    bench.add("grant-add", f"add a grant and mount it (mean of {count})", "grant", added, absolute=True, floor=3, goal=1)
    taken = []
    for _ in range(bench.times(10, 2)):
        driver.must(f"add 2 rw {data}")
        holder = subprocess.Popen(
            [*driver.enter, f"{bench.place}/bin/tool", "many", "/mnt/2", str(OPEN)], stdout=subprocess.PIPE, text=True,
            env={**bench.environment, "GO": f"{data}/go"},
        )
        if holder.stdout.readline().strip() != "open":
            raise OSError("the files cannot be opened")
        taken.append(microseconds(driver.must("revoke 2")) / 1e3)
        driver.must("umount 2")
        with open(f"{data}/go", "wb"):
            pass
        holder.wait(timeout=60)
        os.unlink(f"{data}/go")
    bench.add("grant-revoke", f"revoke while {OPEN:,} files are open", "grant", taken, absolute=True, floor=10, goal=3)


def measure(bench):
    bench.section(f"A grant that can be taken back, against a bind mount ({machine.file_system(bench.data)})")
    data = f"{bench.data}/granted"
    os.makedirs(data)
    driver = None
    try:
        bench.command([bench.work, "fill", data, str(FILES)])
        with open(f"{data}/file", "wb") as file:
            file.write(b"x")
        with open(f"{data}/old", "wb") as file:
            for _ in range(MIB):
                file.write(b"p" * 2**20)
        driver = Driver(bench)
        driver.must(f"add 1 rw {data}")
        bench.command([*driver.enter, "sh", "-c", 'mkdir /mnt/bind && mount --bind "$1" /mnt/bind', "sh", data])
        work(bench, driver)
        life(bench, driver, data)
    except Exception as reason:  # pylint: disable=broad-except
        bench.add("grant", "grants that can be taken back", "", [], missing=str(reason).replace(bench.place, "..."))
    finally:
        if driver:
            driver.end()
        shutil.rmtree(data, ignore_errors=True)

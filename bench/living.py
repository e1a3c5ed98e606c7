# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of `make bench` about environments that live: to enter one, what it costs while nothing happens, and many."""

import glob
import os
import time


NAME = "living"


def paddock(bench, *arguments):
    return [bench.paddock[0], *arguments]


def processes(bench, name):
    """The warden and the first process of an environment."""
    init = int(os.path.basename(glob.glob(f"{bench.place}/state/paddock/env/{name}/runs/*")[0]))
    with open(f"/proc/{init}/status", encoding="ascii") as status:
        warden = next(int(line.split()[1]) for line in status if line.startswith("PPid:"))
    return [warden, init]


def pss(pids):
    """KiB of all together, or None."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            return None
    return total


def enter_rows(bench):
    bench.command(paddock(bench, "create", NAME))
    bench.command(paddock(bench, "start", NAME))
    samples, missing = bench.rounds({
        "enter": paddock(bench, "enter", NAME, "/bin/true"),
        "bwrap": [bench.bwrap, "--unshare-all", "--bind", "/", "/", "--proc", "/proc", "/bin/true"],
    }, bench.times(250, 20), bench.times(10, 2))
    bench.compare("living-enter", "`enter` of an environment that runs", samples, missing, "enter", "bwrap", floor=1.0, goal=0.6)
    time.sleep(1)
    size = pss(processes(bench, NAME))
    bench.add("living-pss", "warden and init of an idle environment: PSS", "", [size] if size else [], unit="KiB", floor=1024, goal=410,
              absolute=True, missing="" if size else "no smaps_rollup could be read")
    bench.command(paddock(bench, "stop", NAME))


def timed(bench, *arguments):
    begin = time.monotonic_ns()
    bench.command(paddock(bench, *arguments))
    return (time.monotonic_ns() - begin) / 1e6


def look(bench, name, n):
    """The life of one environment, n times: milliseconds of each verb."""
    took = {"start": [], "enter": [], "list": [], "stop": []}
    for _ in range(n):
        took["start"].append(timed(bench, "start", name))
        took["enter"].append(timed(bench, "enter", name, "/bin/true"))
        took["list"].append(timed(bench, "list"))
        took["stop"].append(timed(bench, "stop", "--now", name))
    return took


def many_rows(bench):
    """One environment while many others live, and while none does: what does each of the others cost it?"""
    count, n = bench.times(200, 20), bench.times(25, 5)
    names = [f"{NAME}-{i}" for i in range(count)]
    for name in names:
        bench.command(paddock(bench, "create", name))
    alone = look(bench, NAME, n)
    try:
        for name in names:
            bench.command(paddock(bench, "start", name))
        among = look(bench, NAME, n)
    finally:
        bench.command(paddock(bench, "stop", "--now", *names))
    after = look(bench, NAME, n)
    for name in names:
        bench.command(paddock(bench, "rm", name))
    for verb in alone:
        what = f"`{verb}` while {count} others live"
        bound = {} if verb == "list" else {"floor": 1.5}  # it tells of each
        bench.add(f"living-{verb}-many", what, "", among[verb], "while none does", alone[verb] + after[verb], **bound)


def measure(bench):
    bench.section("Environments that live")
    bench.attempt([("living-enter", "`enter` of an environment that runs", {"floor": 1.0, "goal": 0.6})], lambda: enter_rows(bench))
    bench.attempt([("living-start-many", "many that live", {"floor": 1.5})], lambda: many_rows(bench))

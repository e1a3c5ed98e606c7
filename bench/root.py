# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of `make bench` about root in a private copy (`run --as root`): the id-mirror below a layer, against native.

Beside it, where it is installed and runs: fuse-overlayfs over the same data with the same user as its root. proot is only
started: a walk of this size takes it a quarter of a minute. And the kernel alone: a bare overlay over the same files without any
mirror, and unshare(1) that only has the ids mapped by newuidmap and newgidmap. Nothing that has a layer and such ids can be faster.
"""

import os
import shutil
import statistics

import project

ROOT_NATIVE = "native"
BARE = "bare overlay"


def ways(bench, argv):
    """{name: argv}: the same work natively, as root in a copy, and with the peers that are here."""
    found = {ROOT_NATIVE: argv, "inside": [*bench.paddock, "--as", "root", "--", *argv]}
    top = f"{bench.place}/peer"
    if shutil.which("fuse-overlayfs"):
        options = f"lowerdir={bench.data},upperdir={top}/upper,workdir={top}/work"
        script = 'fuse-overlayfs -o "$1" "$2" && cd "$2" && shift 2 && "$@"; told=$?; cd /; umount -l "$0"; exit $told'
        found["fuse-overlayfs"] = ["unshare", "-Urm", "sh", "-c", script, bench.data, options, bench.data, *argv]
    found[BARE] = bench.overlay(argv)
    return found


def rounds(bench, argv, n, peers=True):
    """Runs all ways in turn, n times and once before to warm up natively. {way: [[ms of each line]]}; a peer that fails
    is absent, native or inside failing raises what bench.command() raises."""
    commands = ways(bench, argv)
    if not peers:
        commands = {name: commands[name] for name in (ROOT_NATIVE, "inside")}
    runs = {name: [] for name in commands}
    for turn in range(n + 1):
        for way in list(commands) if turn % 2 == 0 else list(reversed(commands)):
            if turn == 0 and way != ROOT_NATIVE:
                continue
            bench.overlay_reset("overlay" if way == BARE else "peer")
            try:
                output = bench.command(commands[way])
            except Exception:
                if way in (ROOT_NATIVE, "inside"):
                    raise
                commands = {name: commands[name] for name in commands if name != way}
                runs.pop(way)
                continue
            if turn:
                runs[way].append([int(line.split()[1]) / 1e6 for line in output.splitlines()])
    return runs


def rows(bench, runs, first, warm):
    """Adds a row for the first touch and one for the warm ones; each is (key, what, bounds) or None."""
    native = [ms for run in runs[ROOT_NATIVE] for ms in run[1:] or run]
    for label, pick in ((first, lambda run: run[:1]), (warm, lambda run: run[1:])):
        if not label:
            continue
        key, what, bounds = label
        ours = [ms for run in runs["inside"] for ms in pick(run)]
        bench.add(key, what, "inside", ours, "native, warm", native, **bounds)
        bench.values[key] = statistics.median(ours) / statistics.median(native)
        for peer in runs:
            if peer not in (ROOT_NATIVE, "inside"):
                theirs = [ms for run in runs[peer] for ms in pick(run)]
                bench.add(f"{key}-{peer}", f"{what}: {peer}", peer, theirs, "native, warm", native)
                bench.values[f"{key}-{peer}"] = statistics.median(theirs) / statistics.median(native)


def start(bench):
    n, warmup = bench.times(60, 10), bench.times(10, 2)
    samples, missing = bench.rounds({
        "root": [*bench.paddock, "--as", "root", "--", "/bin/true"],
        "root_proot": [shutil.which("proot") or "", "-0", "/bin/true"],
        "root_ids": [shutil.which("unshare") or "", "--user", "--map-root-user", "--map-auto", "--pid", "--fork", "--mount",
                     "/bin/true"],
    }, n, warmup)
    bench.compare(
        "root-start", "start to exit of /bin/true", samples, missing, "root", absolute=True, floor=10, goal=5
    )
    if samples.get("root_proot"):
        bench.compare("root-start-proot", "the same: proot -0", samples, missing, "root_proot")
    if samples.get("root_ids"):
        bench.compare("root-start-ids", "the same: unshare --map-auto", samples, missing, "root_ids")


def trees(bench):
    entries, small, tracked = bench.times(50000, 5000), bench.times(10000, 1000), bench.times(15000, 1500)
    n = bench.times(5, 1)

    def walk():
        os.makedirs(f"{bench.data}/tree")
        bench.command([bench.work, "fill", f"{bench.data}/tree", str(entries)])
        runs = rounds(bench, [bench.work, "walk", f"{bench.data}/tree", "4"], n)
        rows(bench, runs, *walk_labels)

    def read():
        os.makedirs(f"{bench.data}/small")
        bench.command([bench.work, "fill", f"{bench.data}/small", str(small)])
        runs = rounds(bench, [bench.work, "small", f"{bench.data}/small", str(small)], n)
        rows(bench, runs, *read_labels)

    def status():
        top = f"{bench.data}/repository"
        os.makedirs(top)
        bench.command([bench.work, "fill", top, str(tracked)])
        git = ["git", "-C", top, "-c", "user.name=b", "-c", "user.email=b@localhost"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"], ["status"]):
            bench.command([*git, *words])
        script = 'for i in 1 2 3 4; do "$0" time git -c safe.directory="*" -C "$1" status --short; done'
        runs = rounds(bench, ["sh", "-c", script, bench.work, top], n)
        rows(bench, runs, *status_labels)

    walk_labels = [
        ("root-walk-first", f"walk of {entries:,} files, first touch", {"floor": 6.0, "goal": 3.0}),
        ("root-walk", f"walk of {entries:,} files, warm", {"floor": 1.35, "goal": 1.15}),
    ]
    read_labels = [
        ("root-read-first", f"open and read of {small:,} small files, first touch", {"floor": 10.0, "goal": 4.0}),
        ("root-read", f"open and read of {small:,} small files, warm", {"floor": 2.3, "goal": 1.3}),
    ]
    status_labels = [
        ("root-git-first", f"git status of {tracked:,} files, first touch", {"floor": 8.0, "goal": 3.0}),
        ("root-git", f"git status of {tracked:,} files, warm", {"floor": 1.6, "goal": 1.2}),
    ]
    for labels, measure, name in (
        (walk_labels, walk, "tree"), (read_labels, read, "small"), (status_labels, status, "repository"),
    ):
        bench.attempt(labels, measure)
        shutil.rmtree(f"{bench.data}/{name}", ignore_errors=True)


def big(bench):
    mib = bench.times(1024, 64)
    n = bench.times(5, 1)
    write = ("root-write", f"write {mib} MiB", {"floor": 1.1, "goal": 1.0})
    read = ("root-read-lower", f"read {mib} MiB of a file from outside, warm", {"floor": 2.0, "goal": 1.1})

    def written():
        runs = rounds(bench, [bench.work, "write", f"{bench.data}/new", str(mib)], n, peers=False)
        rows(bench, {way: [run[:1] for run in of] for way, of in runs.items()}, write, None)

    def lower():
        with open(f"{bench.data}/old", "wb") as file:
            for _ in range(mib):
                file.write(b"p" * 2**20)
        rows(bench, rounds(bench, [bench.work, "read", f"{bench.data}/old"], n, peers=False), read, None)

    bench.attempt([write], written)
    bench.attempt([read], lower)
    if os.path.exists(f"{bench.data}/old"):
        os.unlink(f"{bench.data}/old")


def make(bench):
    sources = bench.times(60, 6)
    label = ("root-make", f"make -j2 of {sources} C files", {"floor": 1.15, "goal": 1.05})

    def measure():
        top = f"{bench.data}/project"
        shutil.rmtree(top, ignore_errors=True)
        project.write_project(top, sources)
        script = '"$0" time make -s -C "$1" CC=gcc -j2 && make -s -C "$1" clean'
        runs = rounds(bench, ["sh", "-c", script, bench.work, top], bench.times(5, 1), peers=False)
        rows(bench, runs, label, None)

    bench.attempt([label], measure)
    shutil.rmtree(f"{bench.data}/project", ignore_errors=True)


def apt(bench):
    """Packages from files, installed by apt-get. Natively that would change the machine: bench/run, when it is root, has
    timed it under a bare kernel overlay of the whole system, and left the times in native-apt."""
    label = ("root-apt", "apt-get install of cached packages", {"floor": 1.3, "goal": 1.0})
    debs = sorted(f"{bench.place}/debs/{name}" for name in os.listdir(f"{bench.place}/debs"))

    def measure():
        if not debs:
            raise OSError("no package files could be downloaded")
        with open(f"{bench.place}/native-apt", encoding="ascii") as file:
            native = [int(line.split()[1]) / 1e6 for line in file]
        if not native:
            raise OSError("only root can time it natively (a kernel overlay of the whole system): run `make bench` as root")
        install = [bench.work, "time", "apt-get", "install", "-qq", "-y", "--no-install-recommends",
                   "--reinstall", *debs]
        ours = []
        for _ in range(bench.times(3, 1)):
            output = bench.command([*bench.paddock, "--as", "root", "--", *install])
            ours += [int(line.split()[1]) / 1e6 for line in output.splitlines() if line.startswith("time ")]
        bench.add(*label[:2], "inside", ours, "kernel overlay of real root", native, **label[2])
        bench.values["root-apt"] = statistics.median(ours) / statistics.median(native)

    bench.attempt([label], measure)


def measure(bench):
    bench.section("Root in a private copy (`run --as root`), against native on the same file system")
    bench.attempt(
        [("root-start", "start to exit of /bin/true", {"absolute": True, "floor": 10, "goal": 5})], lambda: start(bench)
    )
    trees(bench)
    big(bench)
    make(bench)
    apt(bench)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of `make bench` about what becomes of changes: diff, commit, discard, snapshot, clone and reset, each beside
the ordinary program that does the same work on the same files."""

import glob
import os
import shutil
import statistics

import machine

NAME = "changes"
FACTS = "%p %y %m %U %G %s %T@\\n"  # what diff looks at, and prints of each file


def paddock(bench, *arguments):
    return [bench.paddock[0], *arguments]


def inside(bench, *argv):
    bench.command([*paddock(bench, "run", "-n", NAME), "--", *argv])


def fill_inside(bench, top, count):
    """A new directory of small files."""
    inside(bench, "sh", "-c", 'mkdir "$1/new" && "$0" fill "$1/new" "$2"', bench.work, top, str(count))


def fresh(bench):
    """An environment without changes, over a data directory without files."""
    for name in (NAME, f"{NAME}-new"):
        if os.path.isdir(f"{bench.place}/state/paddock/env/{name}"):
            bench.command(paddock(bench, "rm", name))
    bench.command(paddock(bench, "create", NAME))
    top = f"{bench.data}/changes"
    shutil.rmtree(top, ignore_errors=True)
    os.makedirs(top)
    return top


def upper(bench):
    """The directory of the layer that holds what was changed in the data directory."""
    found = glob.glob(f"{bench.place}/state/paddock/env/{NAME}/layer/*/upper/**/changes", recursive=True)
    if not found:
        raise OSError("the layer's files are not where they are looked for")
    return found[0]


def timed(bench, argv):
    """Milliseconds of one run of a program that prints little."""
    return int(bench.command([bench.work, "time", *argv]).split()[1]) / 1e6


def settle(bench):
    bench.command(["sync", "-f", bench.data])


def diff_rows(bench):
    count, n = bench.times(50000, 1000), bench.times(15, 2)
    added = ("changes-diff", f"`diff` of {count:,} new files", {"floor": 1.5})
    changed = ("changes-diff-content", f"`diff` of {count // 5:,} files with other content of the same size", {})

    def find(of):
        return [shutil.which("find"), of, "-printf", FACTS]

    def all_new():
        top = fresh(bench)
        inside(bench, bench.work, "fill", top, str(count))
        samples, missing = bench.rounds({
            "changes_diff": paddock(bench, "diff", NAME, "--no-pager"), "find -printf": find(upper(bench)),
        }, n, 1)
        bench.compare(added[0], added[1], samples, missing, "changes_diff", "find -printf", **added[2])

    def content():
        top = fresh(bench)
        bench.command([bench.work, "fill", top, str(count // 5)])
        bench.command(["sleep", "0.1"])
        inside(bench, "sh", "-c", 'find "$0" -type f -exec sed -i s/paddock/changed/ {} +', top)
        samples, missing = bench.rounds({
            "changes_content": paddock(bench, "diff", NAME, "--no-pager"),
            "diff -rq": [shutil.which("sh"), "-c", 'diff -rq --no-dereference "$0" "$1" || true', top, upper(bench)],
            "find -printf alone": find(upper(bench)),
        }, n, 1)
        bench.compare(changed[0], changed[1], samples, missing, "changes_content", "diff -rq", **changed[2])
        bench.compare(f"{changed[0]}-find", changed[1], samples, missing, "changes_content", "find -printf alone")

    bench.attempt([added], all_new)
    bench.attempt([changed], content)


def many_rows(bench):
    many = bench.times(1000000 if machine.file_system(bench.data) == "tmpfs" else 100000, 20000)
    time = ("changes-many", f"`diff` of {many:,} new files", {"floor": 1.5})
    memory = ("changes-many-memory", "the same: memory at most", {})

    def measure():
        if machine.free_mib(bench.data) < many * 3 // 1000:
            raise OSError("too little free memory for so many files")
        top = fresh(bench)
        inside(bench, "mkdir", f"{top}/many")
        of = f"{upper(bench)}/many"
        bench.command([bench.work, "empty", of, str(many)])  # as a program inside would leave them
        ways = {"diff": paddock(bench, "diff", NAME, "--no-pager"), "find": ["find", of, "-printf", FACTS]}
        ms, kib = {way: [] for way in ways}, {way: [] for way in ways}
        for _ in range(bench.times(3, 1)):
            for way, argv in ways.items():
                told = dict(line.split() for line in bench.command([bench.work, "peak", *argv]).splitlines())
                ms[way].append(int(told["time"]) / 1e6)
                kib[way].append(int(told["peak"]) / 1024)
        bench.add(*time[:2], "", ms["diff"], "find -printf", ms["find"], **time[2])
        bench.add(*memory[:2], "", kib["diff"], "find -printf", kib["find"], unit="MiB")

    bench.attempt([time, memory], measure)


def commit_rows(bench):
    count = bench.times(10000, 500)
    label = ("changes-commit", f"`commit` of {count:,} new files", {"floor": 1.3})
    script = {
        "cp -a, fsync of each": 'cp -a --reflink=auto "$0" "$1" && find "$1" -print0 | xargs -0 sync',
        "cp -a, syncfs": 'cp -a --reflink=auto "$0" "$1" && sync -f "$1"',
    }

    def measure():
        ours, peers = [], {name: [] for name in script}
        top = fresh(bench)
        for _ in range(bench.times(9, 2)):
            fill_inside(bench, top, count)
            settle(bench)
            ours.append(timed(bench, paddock(bench, "commit", NAME)))
            for name, text in script.items():
                settle(bench)
                peers[name].append(timed(bench, ["sh", "-c", text, f"{top}/new", f"{bench.data}/copied"]))
                shutil.rmtree(f"{bench.data}/copied")
            shutil.rmtree(f"{top}/new")
        bench.values["changes-commit-syncfs"] = statistics.median(ours) / statistics.median(peers["cp -a, syncfs"])
        bench.add(*label[:2], "", ours, "cp -a, fsync of each", peers["cp -a, fsync of each"], **label[2])
        bench.add(f"{label[0]}-syncfs", label[1], "", ours, "cp -a, syncfs", peers["cp -a, syncfs"])

    bench.attempt([label], measure)


def discard_rows(bench):
    count = bench.times(20000, 500)
    label = ("changes-discard", f"`discard` of {count:,} new files", {"floor": 1.2})

    def measure():
        ours, peer = [], []
        top = fresh(bench)
        for _ in range(bench.times(9, 2)):
            fill_inside(bench, top, count)
            settle(bench)
            ours.append(timed(bench, paddock(bench, "discard", NAME)))
            os.mkdir(f"{top}/new")
            bench.command([bench.work, "fill", f"{top}/new", str(count)])
            settle(bench)
            peer.append(timed(bench, ["rm", "-r", f"{top}/new"]))
        bench.add(*label[:2], "", ours, "rm -r", peer, **label[2])

    bench.attempt([label], measure)


def state_rows(bench):
    count = bench.times(50000, 1000)
    bounds = {"absolute": True, "floor": 10}
    labels = {name: (f"changes-{name}", f"`{name}` with {count:,} new files", bounds) for name in ("snapshot", "clone")}
    labels["reset"] = ("changes-reset", f"`reset`, nothing changed since, over {count:,}", bounds)
    labels["thrown"] = ("changes-reset-thrown", f"`reset` with {count // 5:,} new files since", {})

    def measure():
        ms = {name: [] for name in labels}
        for _ in range(bench.times(5, 1)):
            top = fresh(bench)
            inside(bench, bench.work, "fill", top, str(count))
            settle(bench)
            ms["snapshot"].append(timed(bench, paddock(bench, "snapshot", NAME, "before")))
            ms["clone"].append(timed(bench, paddock(bench, "clone", NAME, f"{NAME}-new")))
            ms["reset"].append(timed(bench, paddock(bench, "reset", NAME, "before")))
            fill_inside(bench, top, count // 5)
            settle(bench)
            ms["thrown"].append(timed(bench, paddock(bench, "reset", NAME, "before")))
        for name, (key, what, options) in labels.items():
            bench.add(key, what, "", ms[name], **options)

    bench.attempt(list(labels.values()), measure)


def measure(bench):
    kind = machine.file_system(bench.data)
    bench.section(f"What becomes of changes, beside the programs that do the same work ({kind})")
    for part in (diff_rows, many_rows, commit_rows, discard_rows, state_rows):
        part(bench)
    for name in (NAME, f"{NAME}-new"):
        if os.path.isdir(f"{bench.place}/state/paddock/env/{name}"):
            bench.attempt([], lambda name=name: bench.command(paddock(bench, "rm", name)))
    shutil.rmtree(f"{bench.data}/changes", ignore_errors=True)

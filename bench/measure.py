# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the measurements of `make bench` in a place that bench/run prepared, prints them, writes them to out/.

Usage: measure.py PLACE [--quick]. PLACE holds bin (paddock, paddock-verbs, runner, work, bare, bare-musl, bare-dynamic), data, state, tmp, out.

What is compared runs in turn, A B A B, in one run; what is told are ratios of medians. Nothing is asserted: a row
that cannot be measured says why and the rest goes on.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time

import changes
import document
import grant
import served
import living
import machine
import project
import root
from table import Row, print_row

COMMAND_SECONDS = 150
BWRAP_VIEW = ["--bind", "/", "/", "--proc", "/proc"]
BWRAP = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", *BWRAP_VIEW]


class Unmeasured(Exception):
    """What kept a row from being measured, in one line."""


def first_line(text, otherwise):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[0].strip() if lines else otherwise


class Bench:
    def __init__(self, place, quick):
        self.place, self.quick = place, quick
        self.data = f"{place}/data"
        self.sections = []  # (title, [Row])
        self.values = {}  # medians in ms and ratios by name, for reasons.py
        self.quartiles = {}  # name -> (lower, median, upper) in ms, for the drawing
        self.notes = []
        self.environment = {
            **os.environ, "XDG_STATE_HOME": f"{place}/state", "TMPDIR": f"{place}/tmp", "HOME": os.path.dirname(place),
        }
        self.paddock = [f"{place}/bin/paddock", "run"]
        self.work = f"{place}/bin/work"
        self.bwrap = shutil.which("bwrap")

    # --- tools -------------------------------------------------------------------------------------------------------

    def times(self, full, quick):
        return quick if self.quick else full

    def command(self, argv):
        """Runs `argv` to its end. Returns its standard output; raises Unmeasured."""
        try:
            done = subprocess.run(
                argv, cwd=self.data, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=COMMAND_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unmeasured(f"{os.path.basename(argv[0])}: {error.__class__.__name__}") from error
        if done.returncode != 0:
            told = first_line(done.stderr, f"exit status {done.returncode}")
            raise Unmeasured(f"{os.path.basename(argv[0])}: {told}".replace(self.place, "..."))
        return done.stdout

    def section(self, title):
        self.sections.append((title, []))
        print(f"\n{title}", flush=True)

    def add(self, *arguments, **options):
        row = Row(*arguments, **options)
        self.sections[-1][1].append(row)
        print_row(row)

    def rounds(self, commands, n, warmup):
        """Runs every command of {name: argv} n times in turn, after warming up.

        Returns {name: [ms]} and, for what cannot run, {name: reason}.
        """
        missing, able = {}, {}
        for name, argv in commands.items():
            try:
                if not argv[0]:
                    raise Unmeasured("bwrap is not installed")
                self.command(argv)
                able[name] = argv
            except Unmeasured as reason:
                missing[name] = str(reason)
        arguments = [f"{self.place}/bin/runner", "rounds", str(n), str(warmup)]
        for argv in able.values():
            arguments += [":::", *argv]
        samples = {}
        try:
            lines = self.command(arguments).splitlines() if able else []
        except Unmeasured as reason:
            return {}, {name: str(reason) for name in commands}
        for name, line in zip(able, lines):
            numbers, _, failed = line.partition("failed")
            if int(failed):
                told = f"{int(failed)} of {n + warmup} runs of `{name}` failed; their times are among the others."
                self.notes.append(told)
            samples[name] = [int(ns) / 1e6 for ns in numbers.split()]
            quarters = statistics.quantiles(samples[name], n=4)
            self.quartiles[name] = tuple(quarters)
            self.values[name] = statistics.median(samples[name])
        return samples, missing

    def compare(self, key, what, samples, missing, ours, peer="", **options):
        """A row of two names of rounds()."""
        names = {"bwrap_all": "bwrap --unshare-all", "bare_dynamic": "bare, shared libc", "bare_musl": "bare, musl"}
        why = missing.get(ours) or missing.get(peer) or ""
        self.add(
            key, what, "", samples.get(ours, []), names.get(peer, peer), samples.get(peer, []), missing=why, **options
        )

    # --- start -------------------------------------------------------------------------------------------------------

    def start(self):
        self.section("Start to exit of /bin/true")
        n, warmup = self.times(250, 20), self.times(10, 2)
        samples, missing = self.rounds({
            "fork": ["/bin/true"],
            "bwrap": [self.bwrap, *BWRAP, "/bin/true"],
            "share": [*self.paddock, "--share", "/", "--", "/bin/true"],
            "bare": [f"{self.place}/bin/bare", "/bin/true"],
            "default": [*self.paddock, "/bin/true"],
            "bare_dynamic": [f"{self.place}/bin/bare-dynamic", "/bin/true"],
            "bare_musl": [f"{self.place}/bin/bare-musl", "/bin/true"],
            "memory": [*self.paddock, "--memory", "--", "/bin/true"],
        }, n, warmup)
        self.compare("start-fork", "fork and exec, nothing else", samples, missing, "fork")
        self.compare("start-bare-bwrap", "two bare levels, the yardstick", samples, missing, "bare", "bwrap")
        self.compare("start-share", "`run --share /`", samples, missing, "share", "bwrap", floor=0.6, goal=0.4)
        self.compare("start-bare", "`run --share /`", samples, missing, "share", "bare", floor=1.3)
        self.compare("start-bare-musl", "`run --share /`", samples, missing, "share", "bare_musl")
        self.compare("start-bare-dynamic", "`run --share /`", samples, missing, "share", "bare_dynamic")
        self.compare("start-default", "`run`", samples, missing, "default", "bwrap", floor=1.0, goal=0.7)
        self.compare("start-memory", "`run --memory`", samples, missing, "memory", "bwrap")

        # By themselves: the kernel takes network namespaces down later, at the cost of whoever runs then.
        time.sleep(0.5)
        samples, missing = self.rounds({
            "bwrap_all": [self.bwrap, "--unshare-all", *BWRAP_VIEW, "/bin/true"],
            "share_net": [*self.paddock, "--share", "/", "--net", "none", "--", "/bin/true"],
        }, n, warmup)
        self.compare(
            "start-net", "`run --share / --net none`", samples, missing, "share_net", "bwrap_all", floor=0.6, goal=0.4
        )

    # --- in the layer ------------------------------------------------------------------------------------------------

    def inside(self, argv):
        return [*self.paddock, "--", *argv]

    def overlay(self, argv):
        """The same under a bare overlay of the data directory, in a namespace of its own."""
        top = f"{self.place}/overlay"
        options = f"userxattr,volatile,lowerdir={self.data},upperdir={top}/upper,workdir={top}/work"
        script = 'mount -t overlay -o "$1" overlay "$2" && cd "$2" && shift 2 && exec "$@"'
        return ["unshare", "-Urm", "sh", "-c", script, "sh", options, self.data, *argv]

    def overlay_reset(self, name="overlay"):
        """A fresh upper directory: overlay leaves a directory without permissions in its work directory."""
        top = f"{self.place}/{name}"
        for at, directories, _ in os.walk(top):
            for name in directories:
                os.chmod(os.path.join(at, name), 0o700)
        shutil.rmtree(top, ignore_errors=True)
        os.makedirs(f"{top}/upper")
        os.makedirs(f"{top}/work")

    def workload(self, argv, n, after=None):
        """Runs `argv` natively, inside and under a bare overlay, in turn; `after` clears up natively.

        One round to warm up, which is not kept (the first to touch a page of memory pays for it), then n.

        Returns {way: [[(name, ms)]]}, an inner list a run; raises Unmeasured when native or inside cannot run. The
        way `overlay` is only for reasons.py and simply absent when it fails.
        """
        ways = {"native": argv, "inside": self.inside(argv), "overlay": self.overlay(argv)}
        runs = {name: [] for name in ways}
        for turn in range(n + 1):
            order = list(ways) if turn % 2 == 0 else list(reversed(ways))
            for way in order:
                if way == "overlay":
                    self.overlay_reset()
                try:
                    output = self.command(ways[way])
                    lines = [line.split() for line in output.splitlines()]
                    if turn > 0:
                        runs[way].append([(name, int(ns) / 1e6) for name, ns in lines])
                except Unmeasured as reason:
                    if way != "overlay":
                        raise Unmeasured(f"{way}: {reason}") from reason
                    ways = {name: ways[name] for name in ways if name != "overlay"}
                    runs["overlay"] = []
                if way == "native" and after:
                    self.command(after)
        return runs

    def layer_row(self, key, what, value, runs, pick, **options):
        """A row from workload(); `pick` takes the samples out of one run. Also names the values for reasons.py."""
        ways = {way: [ms for run in of for ms in pick(run)] for way, of in runs.items()}
        native = statistics.median(ways["native"])
        for way in ("inside", "overlay"):
            if ways[way]:
                self.values[f"{way}_{value}"] = statistics.median(ways[way]) / native
        self.add(key, what, "inside", ways["inside"], "native", ways["native"], **options)

    def layer(self):
        self.section(f"In the layer, against native on the same file system ({machine.file_system(self.data)})")
        self.layer_data()
        self.layer_metadata()
        self.layer_make()

    def attempt(self, keys, measure):
        """Runs `measure`; where it raises, each of [(key, what, bounds)] becomes a row that says why."""
        try:
            measure()
        except (Unmeasured, OSError) as reason:
            for key, what, bounds in keys:
                self.add(key, what, "", [], missing=str(reason).replace(self.place, "..."), **bounds)

    def layer_data(self):
        mib = min(512, machine.free_mib(self.data) // 3)
        fast = {"speed": True, "floor": 0.95}
        labels = [
            ("layer-write", f"write {mib} MiB, sequentially", fast),
            ("layer-read", f"read {mib} MiB written inside", fast),
        ]
        n = self.times(7, 1)

        def written():
            runs = self.workload([self.work, "write", f"{self.data}/new", str(mib)], n)
            for (key, what, bounds), name in zip(labels, ("write", "read")):
                self.layer_row(key, what, name, runs, lambda run, name=name: [dict(run)[name]], **bounds)

        def lower():
            with open(f"{self.data}/old", "wb") as file:
                for _ in range(mib):
                    file.write(b"p" * 2**20)
            runs = self.workload([self.work, "read", f"{self.data}/old"], n)
            self.layer_row(lower_label[0], lower_label[1], "read_lower", runs, lambda run: [run[0][1]], **fast)

        lower_label = ("layer-read-lower", f"read {mib} MiB of a file from outside", fast)
        self.attempt(labels, written)
        self.attempt([lower_label], lower)
        if os.path.exists(f"{self.data}/old"):
            os.unlink(f"{self.data}/old")

    def layer_metadata(self):
        count, entries = self.times(10000, 1000), self.times(50000, 5000)
        labels = [
            ("layer-create", f"create {count:,} files", {"floor": 2.0}),
            ("layer-unlink", f"unlink {count:,} files", {"floor": 2.0}),
        ]
        walks = [
            ("layer-walk", f"walk of {entries:,} files, warm", {"floor": 1.15}),
            ("layer-first", f"walk of {entries:,} files, the first in a new environment", {}),
        ]

        def files():
            os.makedirs(f"{self.data}/files", exist_ok=True)
            runs = self.workload([self.work, "files", f"{self.data}/files", str(count)], self.times(11, 2))
            for (key, what, bounds), name in zip(labels, ("create", "unlink")):
                self.layer_row(key, what, name, runs, lambda run, name=name: [dict(run)[name]], **bounds)

        def walk():
            os.makedirs(f"{self.data}/tree")
            self.command([self.work, "fill", f"{self.data}/tree", str(entries)])
            runs = self.workload([self.work, "walk", f"{self.data}/tree", "4"], self.times(7, 1))
            warm = walks[0]
            self.layer_row(warm[0], warm[1], "walk", runs, lambda run: [ms for _, ms in run[1:]], **warm[2])
            # Natively nothing is cold here; the first walk inside is held against a warm one outside.
            first = [run[0][1] for run in runs["inside"]]
            native = [ms for run in runs["native"] for _, ms in run[1:]]
            self.add(walks[1][0], walks[1][1], "inside", first, "native, warm", native)

        self.attempt(labels, files)
        self.attempt(walks, walk)
        shutil.rmtree(f"{self.data}/tree", ignore_errors=True)

    def layer_make(self):
        sources = self.times(60, 6)
        label = ("layer-make", f"make -j2 of {sources} C files", {"floor": 1.05})

        def make():
            top = f"{self.data}/project"
            project.write_project(top, sources)
            base = ["make", "-s", "-C", top, "CC=gcc"]
            runs = self.workload([self.work, "time", *base, "-j2"], self.times(7, 1), after=[*base, "clean"])
            self.layer_row(label[0], label[1], "make", runs, lambda run: [run[0][1]], **label[2])

        self.attempt([label], make)

    # --- many at once ------------------------------------------------------------------------------------------------

    def herd(self, argv, n):
        """Starts n of `argv work hold` at once. Returns ms until all ran, PSS of each in KiB, ms until all ended."""
        if not argv[0]:
            raise Unmeasured("bwrap is not installed")
        with subprocess.Popen(
            [f"{self.place}/bin/runner", "herd", str(n), ":::", *argv, self.work, "hold"], cwd=self.data,
            env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as runner:
            told = {}
            for _ in range(2):
                name, _, rest = runner.stdout.readline().partition(" ")
                told[name] = rest.split()
            if "pids" not in told:
                raise Unmeasured(first_line(runner.stderr.read(), "the herd did not start"))
            time.sleep(0.3)
            sizes = machine.pss_beside([int(pid) for pid in told["pids"]], "work")
            output, _ = runner.communicate("end\n", timeout=COMMAND_SECONDS)
        for line in output.splitlines():
            name, _, rest = line.partition(" ")
            told[name] = rest.split()
        if int(told["failed"][0]):
            self.notes.append(f"{told['failed'][0]} of {n} that ran at once failed: {' '.join(argv[1:])}.")
        return int(told["started"][0]) / 1e6, sizes, int(told["ended"][0]) / 1e6

    def many(self):
        many = self.times(300, 20)
        self.section("Idle environments: memory of what stands beside the program, and many at once")
        ways = {"paddock": [*self.paddock, "--"], "bwrap": [self.bwrap, *BWRAP]}
        for count, turns in ((1, self.times(5, 1)), (many, self.times(3, 1))):
            results, why = {"paddock": [], "bwrap": []}, ""
            for turn in range(turns):
                for way in list(ways) if turn % 2 == 0 else reversed(ways):
                    try:
                        results[way].append(self.herd(ways[way], count))
                    except (Unmeasured, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as reason:
                        why = why or f"{way}: {reason}"
            self.herd_rows(count, results, why)

    def herd_rows(self, count, results, why):
        def sizes(way):
            return [size for _, of, _ in results[way] for size in of if size is not None]

        if any(size is None for way in results.values() for _, of, _ in way for size in of):
            self.notes.append("Some smaps_rollup could not be read: those environments are not in the memory rows.")
        label = "one idle environment: PSS" if count == 1 else f"{count} at once: PSS of each"
        peer = {"peer_name": "bwrap"} if results["bwrap"] else {}
        missing = why if not results["paddock"] else ""
        self.add(f"pss-{count}", label, "", sizes("paddock"), peer=sizes("bwrap"), unit="KiB",
                 missing=missing or ("" if sizes("paddock") else "no smaps_rollup could be read"), **peer)
        if count == 1:
            return
        for key, what, index in (("start", "until all run", 0), ("end", "until all have ended", 2)):
            ours, theirs = ([run[index] / 1e3 for run in results[way]] for way in ("paddock", "bwrap"))
            label = f"{count} at once: {what}"
            self.add(f"many-{key}", label, "", ours, peer=theirs, unit="s", missing=missing, **peer)
            if ours:
                self.values[f"many_{key}"] = statistics.median(ours)
            if theirs:
                self.values[f"many_{key}_bwrap"] = statistics.median(theirs)

    # --- rules -------------------------------------------------------------------------------------------------------

    def rules(self):
        self.section("1,000 rules in one view")
        top = f"{self.data}/rules"
        for i in range(1000):
            os.makedirs(f"{top}/d{i:03}")
            with open(f"{top}/h{i:03}", "w", encoding="ascii"):
                pass

        def mirrors(n):
            return [*self.paddock, *(f"--mirror={top}/d{i:03}" for i in range(n)), "--", "/bin/true"]

        binds = [word for i in range(1000) for word in ("--ro-bind", f"{top}/d{i:03}", f"{top}/d{i:03}")]
        samples, missing = self.rounds({
            "rules_0": mirrors(0),
            "rules_100": mirrors(100),
            "rules_1000": mirrors(1000),
            "rules_hide": [*self.paddock, *(f"--hide={top}/h{i:03}" for i in range(1000)), "--", "/bin/true"],
            "rules_bwrap": [self.bwrap, *BWRAP, *binds, "/bin/true"],
        }, self.times(15, 2), 1)
        self.compare("rules-0", "start with no rule", samples, missing, "rules_0")
        for key, what, n in (
            ("rules_100", "100 `--mirror`", 100),
            ("rules_1000", "1,000 `--mirror`", 1000),
            ("rules_hide", "1,000 `--hide`", 1000),
        ):
            peer = "rules_bwrap" if key == "rules_1000" else ""
            why = missing.get(key, "")
            name = "bwrap with 1,000 --ro-bind" if peer and samples.get(peer) else ""
            self.add(key, f"start with {what}", "", samples.get(key, []), name, samples.get(peer, []), missing=why)
            if samples.get(key) and samples.get("rules_0"):
                cost = (self.values[key] - self.values["rules_0"]) * 1e3 / n
                self.add(f"{key}-each", f"{what}: cost of each", "", [cost], unit="µs")
        shutil.rmtree(top, ignore_errors=True)


def main():
    quick = "--quick" in sys.argv[2:]
    bench = Bench(sys.argv[1], quick)
    bench.about = machine.describe(bench.data, bench.bwrap)
    for line in bench.about:
        print(line)
    begin = time.monotonic()
    for part in (bench.start, bench.rules, bench.layer, bench.many, lambda: living.measure(bench), lambda: grant.measure(bench), lambda: served.measure(bench),
                 lambda: changes.measure(bench), lambda: root.measure(bench)):
        part()
    bench.about.append(f"Taken in {time.monotonic() - begin:.0f} s.")
    document.write(bench, f"{bench.place}/out")


if __name__ == "__main__":
    main()

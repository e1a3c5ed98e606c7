# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what was measured as measurements.md and measurements.svg."""

import drawing
import reasons
from table import markdown_table

TOP = """\
# Measurements

`make bench` wrote this page and its picture; nothing in it is typed by hand. Absolute times belong to the machine
below. Compare the ratios.

![Time to start, work in the layer and many at once, against bubblewrap and the bare kernel](measurements.svg)

"""

HOW = """\
## How it was measured

- What is compared runs in turn, in one run: each round starts every program once, in an order of its own (two: A B or
  B A). A cell is the median, with the smallest and the largest in brackets; a ratio is the ratio of the medians. In
  rows with *≥* it is speed (native time by time inside), in rows with *≤* time (ours by the other's).
- `bwrap` has the namespaces that `paddock run` makes: `--unshare-user --unshare-pid --unshare-ipc --unshare-uts
  --bind / / --proc /proc`. Beside `--net none` stands `bwrap --unshare-all`, which adds a cgroup namespace that
  paddock does not make.
- *Two bare levels* is bench/bare.c: the namespaces of `paddock run` made twice over, and nothing else. It is linked
  statically with the GNU C library, which asks the processor about its caches before main() (in a virtual machine each question
  goes to the hypervisor); in the row with musl it is linked as paddock is where musl is installed, in the row with a shared C
  library as bwrap is.
- In the layer: each run is a new temporary environment with a layer in the state directory, on the file system that
  the native run uses. The programs time themselves, so starting is not part of it. Files are read and written through
  the page cache.
- *The first walk in a new environment*: the kernel's overlay has not seen the files yet; the file system below has.
  Reading from a disk is not part of it.
- What becomes of changes: the layer's files are written inside (the million: by a program beside, as one inside leaves
  them), made durable, and then the verb and the ordinary programs do the same work on as many files. `find -printf` prints
  what `diff` looks at; `diff -rq` compares the same contents; `cp -a --reflink=auto` copies the same files, with an fsync of
  each, or one syncfs for all.
- Memory is the PSS of the processes outside the program: paddock outside and init inside, or the two processes of
  bwrap. Pages that several processes share are counted in parts. Memory of the kernel (namespaces, mounts) is in no
  PSS.
- Many at once: from the first spawn until each program has written a byte; and from closing their standard input
  until all have been waited for, temporary layers removed.
"""


def markdown(bench):
    parts = [TOP, "## The machine\n\n", "".join(f"- {line}\n" for line in bench.about), "\n"]
    short = []
    for title, rows in bench.sections:
        parts += [f"## {title}\n\n", markdown_table(rows), "\n\n"]
        short += [row for row in rows if row.short]
    parts.append("## Where a floor or a goal is not reached\n\n")
    for row in short:
        unit = f" {row.unit}" if row.absolute else "×"
        ratio = f"{row.ratio:.2f}{unit}" if row.ratio is not None else "no value"
        beside = f", beside {row.peer_name}" if row.peer_name else ""
        pairs = (("floor", row.floor), ("goal", row.goal))
        bounds = ", ".join(f"{name} {row.bound(bound)}" for name, bound in pairs if bound is not None)
        parts.append(f"- **{row.what}{beside}** ({ratio}; {bounds}). {reasons.reason(row, bench.values)}\n")
    parts.append("\n" if short else "Nowhere in this run.\n\n")
    if bench.notes:
        parts += ["## Notes of this run\n\n", "".join(f"- {note}\n" for note in dict.fromkeys(bench.notes)), "\n"]
    parts.append(HOW)
    return "".join(parts)


def write(bench, out):
    """Writes both files into the directory `out`."""
    for name, text in (("measurements.md", markdown(bench)), ("measurements.svg", drawing.draw(bench))):
        with open(f"{out}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

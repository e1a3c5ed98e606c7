# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a measurement: what was compared, the ratio, the bounds, and how they are written."""

import statistics
from dataclasses import dataclass, field


def number(value):
    """Three significant figures, never an exponent: 0.412, 4.12, 41.2, 412."""
    for limit, digits in ((1, 3), (10, 2), (100, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def spread(samples, unit):
    """`median unit (min..max)`; one sample stands alone."""
    middle = number(statistics.median(samples))
    if len(samples) == 1:
        return f"{middle} {unit}"
    return f"{middle} {unit} ({number(min(samples))}..{number(max(samples))})"


@dataclass
class Row:
    """One comparison. `ours` and `peer` are samples in `unit`, taken in turn in the same run; less is better in all.

    With `speed` the ratio is peer / ours (1 is native speed, more is better), else ours / peer (less is better).
    `floor` and `goal` are bounds of the ratio, None where none was set. `missing` says why there are no numbers.
    """

    key: str
    what: str
    ours_name: str
    ours: list
    peer_name: str = ""
    peer: list = field(default_factory=list)
    unit: str = "ms"
    speed: bool = False
    floor: float = None
    goal: float = None
    missing: str = ""
    absolute: bool = False  # the bounds are of our median itself, in `unit`

    @property
    def ratio(self):
        """Ratio of the medians, or None; our median when the bounds are of that."""
        if self.absolute:
            return statistics.median(self.ours) if self.ours else None
        if not self.ours or not self.peer:
            return None
        ours, peer = statistics.median(self.ours), statistics.median(self.peer)
        top, bottom = (peer, ours) if self.speed else (ours, peer)
        return top / bottom if bottom else None

    def meets(self, bound):
        return self.ratio >= bound if self.speed else self.ratio <= bound

    @property
    def verdict(self):
        bounds = [b for b in (self.floor, self.goal) if b is not None]
        if not bounds:
            return ""
        if self.missing or self.ratio is None:
            return "not measured"
        if self.goal is not None and self.meets(self.goal):
            return "goal"
        if self.floor is not None and self.meets(self.floor):
            return "floor" if self.goal is not None else "met"
        return "missed"

    @property
    def short(self):
        """Whether a bound that was set is not reached, so that a reason is due."""
        return self.verdict in ("floor", "missed", "not measured")

    def bound(self, value):
        unit = f" {self.unit}" if self.absolute else "×"
        return "" if value is None else f"{'≥' if self.speed else '≤'} {value:g}{unit}"

    def cells(self):
        """The row as text: what, ours, peer, ratio, floor, goal, verdict."""
        if self.missing:
            return [self.what, "not measured", "", "", self.bound(self.floor), self.bound(self.goal), self.verdict]
        ratio = "" if self.ratio is None or self.absolute else f"{self.ratio:.2f}×"
        peer = f"{self.peer_name}: {spread(self.peer, self.unit)}" if self.peer else ""
        ours = f"{self.ours_name}: {spread(self.ours, self.unit)}" if self.ours_name else spread(self.ours, self.unit)
        return [self.what, ours, peer, ratio, self.bound(self.floor), self.bound(self.goal), self.verdict]


def print_row(row):
    """One row for the terminal, at once."""
    what, ours, peer, ratio, floor, goal, verdict = row.cells()
    bounds = ", ".join(f"{n} {b}" for n, b in (("floor", floor), ("goal", goal)) if b)
    print(f"  {what:<52} {ratio:>7}  {bounds:<27} {verdict:<7} {ours}{'; ' + peer if peer else ''}", flush=True)
    if row.missing:
        print(f"      {row.missing}", flush=True)


def markdown_table(rows):
    lines = ["| what | measured | beside | ratio | floor | goal | reached |", "|---|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row.cells()) + " |" for row in rows]
    return "\n".join(lines)

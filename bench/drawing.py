# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the measurements as an SVG of horizontal bars that follows the reader's light or dark scheme."""

from xml.sax.saxutils import escape

from table import number

WIDTH, LEFT, RIGHT = 860, 300, 190
BAR, STEP = 14, 26
STYLE = """\
  <style>
    .page { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e } .line { stroke: #d1d9e0 }
    .ours { fill: #0969da } .peer { fill: #8c959f } .spread { stroke: #1f2328 } .bound { stroke: #bc4c00 }
    text { font: 13px system-ui, sans-serif } .head { font-weight: 600; font-size: 15px } .small { font-size: 12px }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .text { fill: #e6edf3 } .faint { fill: #9198a1 } .line { stroke: #3d444d }
      .ours { fill: #4493f8 } .peer { fill: #656c76 } .spread { stroke: #e6edf3 } .bound { stroke: #f0883e }
    }
  </style>
"""


class Page:
    """Elements from the top down; `y` is where the next one goes."""

    def __init__(self):
        self.parts, self.y = [], 34

    def text(self, x, y, words, kind="text", anchor="start"):
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        self.parts.append(f'  <text class="{kind}" {place}>{escape(words)}</text>\n')

    def line(self, x1, y1, x2, y2, kind, width=1):
        self.parts.append(
            f'  <line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-width="{width}"/>\n'
        )

    def panel(self, title, legend, bars):
        """Bars of one scale. A bar is (name, kind, value, told, spread or None, [bounds in the unit of value])."""
        if not bars:
            return
        top = max(max([value, *(spread or ()), *bounds]) for _, _, value, _, spread, bounds in bars)
        scale = (WIDTH - LEFT - RIGHT) / top
        self.text(20, self.y, title, "text head")
        self.text(20, self.y + 18, legend, "faint small")
        self.y += 34
        self.line(LEFT, self.y - 4, LEFT, self.y + STEP * len(bars) - 6, "line")
        for name, kind, value, told, spread, bounds in bars:
            middle = self.y + BAR / 2
            self.text(LEFT - 10, middle + 4.5, name, anchor="end")
            self.parts.append(
                f'  <rect class="{kind}" x="{LEFT}" y="{self.y}" width="{value * scale:.1f}" height="{BAR}" rx="2"/>\n'
            )
            if spread:
                self.line(LEFT + spread[0] * scale, middle, LEFT + spread[1] * scale, middle, "spread", 1.5)
            for bound in bounds:
                self.line(LEFT + bound * scale, self.y - 4, LEFT + bound * scale, self.y + BAR + 4, "bound", 2)
            end = LEFT + max([value, *(spread or ()), *bounds]) * scale
            self.text(end + 8, middle + 4.5, told)
            self.y += STEP
        self.y += 26


def start_bars(bench):
    names = {
        "fork": "fork and exec", "bare": "two bare levels", "share": "paddock run --share /", "bwrap": "bwrap",
        "default": "paddock run", "memory": "paddock run --memory", "share_net": "paddock run --share / --net none",
        "bwrap_all": "bwrap --unshare-all",
    }
    rows = {"share": "start-share", "default": "start-default", "share_net": "start-net"}
    peers = {"share": "bwrap", "default": "bwrap", "share_net": "bwrap_all"}
    found = {row.key: row for _, of in bench.sections for row in of}
    bars = []
    for key, name in names.items():
        if key not in bench.quartiles:
            continue
        low, middle, high = bench.quartiles[key]
        row = found.get(rows.get(key))
        bounds = []
        told = f"{number(middle)} ms"
        if row and row.ratio is not None:
            bounds = [b * bench.values[peers[key]] for b in (row.floor, row.goal) if b is not None]
            told += f", {row.ratio:.2f}× of bwrap"
        kind = "ours" if "paddock" in name else "peer"
        bars.append((name, kind, middle, told, (low, high), bounds))
    return bars


def layer_bars(bench):
    bars = []
    for _, rows in bench.sections:
        for row in rows:
            if not row.key.startswith("layer-") or row.ratio is None:
                continue
            time = 1 / row.ratio if row.speed else row.ratio
            bounds = [1 / row.floor if row.speed else row.floor] if row.floor else []
            name = row.what.replace(", the first in a new environment", ", first")
            bars.append((name, "ours", time, f"{time:.2f}× the native time", None, bounds))
    return bars


def many_bars(bench):
    bars = []
    for key, name in (("many_start", "until all run"), ("many_end", "until all have ended")):
        for suffix, who, kind in (("", "paddock run", "ours"), ("_bwrap", "bwrap", "peer")):
            value = bench.values.get(key + suffix)
            if value:
                bars.append((f"{who}: {name}", kind, value, f"{number(value)} s", None, []))
    return bars


def draw(bench):
    """The whole picture as text."""
    page = Page()
    legend = "Median; thin line: the middle half of the runs; upright marks: floor and goal"
    page.panel("Start to exit of /bin/true", legend, start_bars(bench))
    legend = "Time inside by native time on the same file system (less is better); upright marks: the floor"
    page.panel("In the layer", legend, layer_bars(bench))
    many = next((row.what.split(" ")[0] for _, rows in bench.sections for row in rows if row.key == "many-start"), "")
    page.panel(f"{many} at once", "Seconds, all on the same machine", many_bars(bench))
    for line in bench.about[1:3]:
        page.text(20, page.y - 6, line, "faint small")
        page.y += 17
    height = page.y + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" aria-labelledby="title">\n'
        '  <!-- SPDX-License-Identifier: GPL-3.0-or-later. Drawn by bench/drawing.py. -->\n'
        '  <title id="title">Measurements of paddock beside bubblewrap and the bare kernel</title>\n'
        f'{STYLE}  <rect class="page" width="{WIDTH}" height="{height:.0f}" rx="6"/>\n{"".join(page.parts)}</svg>\n'
    )

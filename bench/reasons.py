# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a floor or a goal is not reached: a sentence for each row, kept by the row's key.

Each is a function of the values of this very run (`v`: medians in ms and ratios by name, see measure.py; a name that was
not measured is absent). It returns the sentence, or None when the numbers for it are lacking; then the row is said to
have no recorded reason. A sentence states what was measured beside the row, and no cause that was not.
"""


def start(row, name, bound):
    """A start beside bwrap: how much of it the namespaces take whatever is done with them."""

    def reason(v):
        bare = v["bare"] / v["bwrap"]
        if bare > bound:
            rest = f"so two levels alone are above the {name} here; paddock takes {v[row] / v['bare']:.2f}× of that program"
        else:
            rest = f"the other {v[row] - v['bare']:.2f} ms of paddock's {v[row]:.2f} ms are its own work"
        return f"A bare C program that only makes the namespaces twice and protects nothing takes {bare:.2f}× of bwrap; {rest}."

    return reason


def start_net(v):
    return (
        f"With a network namespace `--share /` takes {v['share_net']:.2f} ms, without one {v['share']:.2f} ms (bwrap: "
        f"{v['bwrap_all']:.2f} ms and {v['bwrap']:.2f} ms); two bare levels without any network take {v['bare']:.2f} ms."
    )


def start_bare(v):
    return (
        f"The bare program takes {v['bare']:.2f} ms and `--share /` {v['share']:.2f} ms. The yardstick looks at nothing, checks "
        "nothing, keeps no state and passes nothing on."
    )


def start_default(v):
    return (
        f"Of {v['default']:.2f} ms, {v['share']:.2f} ms are what `--share /` takes too; the rest is for the layers of what the "
        f"user could write (with the layers in memory, `--memory`: {v['memory']:.2f} ms in all)."
    )


def overlay(what):
    """Work in the layer: what the kernel's overlay costs when nothing of paddock is there."""

    def reason(v):
        alone = v.get("overlay_" + what)
        inside = v.get("inside_" + what)
        if not alone or not inside:
            return None
        return (
            f"A bare overlay of the same directory, mounted by mount(8) in a namespace, takes {alone:.2f}× of the native time "
            f"here and paddock's layer {inside:.2f}×."
        )

    return reason


REASONS = {
    "start-share": start("share", "goal", 0.4),
    "start-net": start_net,
    "start-bare": start_bare,
    "start-default": start_default,
    "layer-write": overlay("write"),
    "layer-read": overlay("read"),
    "layer-read-lower": overlay("read_lower"),
    "layer-create": overlay("create"),
    "layer-unlink": overlay("unlink"),
    "layer-walk": overlay("walk"),
    "layer-make": overlay("make"),
}


def reason(row, values):
    """The sentence for a row that is short of its floor or goal."""
    if row.missing:
        return f"Not measured: {row.missing}"
    try:
        told = REASONS[row.key](values) if row.key in REASONS else None
    except KeyError as absent:
        return f"No reason recorded: {absent.args[0]}, which it compares with, was not measured."
    return told or "No reason recorded."

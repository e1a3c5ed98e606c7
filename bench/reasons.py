# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a floor or a goal is not reached: a sentence for each row, kept by the row's key.

Each is a function of the values of this very run (`v`: medians in ms and ratios by name, see measure.py; a name not
measured is absent, and a sentence that needs it gives way to one that says so). A sentence states what was measured
beside the row, and no cause that was not.
"""


def start_share(v):
    least = v.get("bare_musl", v["bare"])
    bare = least / v["bwrap"]
    if bare > 0.4:
        rest = f"so two levels alone are above the goal here, and paddock takes {v['share'] / least:.2f}× of that"
    else:
        rest = f"the other {v['share'] - least:.2f} ms of paddock's {v['share']:.2f} ms are its own work"
    libc = " (linked with musl, as paddock is)" if "bare_musl" in v else ""
    return f"A bare C program that only makes the namespaces twice{libc} takes {bare:.2f}× of bwrap; {rest}."


def start_net(v):
    return (
        f"With a network namespace `--share /` takes {v['share_net']:.2f} ms, without one {v['share']:.2f} ms (bwrap: "
        f"{v['bwrap_all']:.2f} ms and {v['bwrap']:.2f} ms). Two bare levels without one take {v['bare']:.2f} ms."
    )


def start_bare(v):
    return (
        f"The bare program takes {v['bare']:.2f} ms and `--share /` {v['share']:.2f} ms. The bare program looks at "
        "nothing, checks nothing, keeps no state and passes nothing on."
    )


def start_default(v):
    return (
        f"Of {v['default']:.2f} ms, {v['share']:.2f} ms are what `--share /` takes too; the rest is for the layers of "
        f"what the user could write (with the layers in memory, `--memory`: {v['memory']:.2f} ms in all)."
    )


def overlay(what):
    """Work in the layer: what the kernel's overlay costs when nothing of paddock is there."""

    def reason(v):
        return (
            "A bare overlay of the same directory, mounted by mount(8) in a namespace of its own, takes "
            f"{v['overlay_' + what]:.2f}× of the native time here, paddock's layer {v['inside_' + what]:.2f}×."
        )

    return reason


def root_start(v):
    return (
        f"unshare(1), which only has the ids mapped by newuidmap and newgidmap, takes {v['root_ids']:.2f} ms in the same bench, a "
        f"plain `run` {v['default']:.2f} ms; this has both to do, and to start the server and mount the mirror."
    )


def beside_peers(key):
    """A bare kernel overlay has no mirror below it; it is the least that any layer costs."""

    def reason(v):
        text = f"A bare kernel overlay of the same files, without a mirror, takes {v[key + '-bare overlay']:.2f}× in the same run"
        if key + "-fuse-overlayfs" in v:
            text += f", fuse-overlayfs {v[key + '-fuse-overlayfs']:.2f}×"
        return f"{text}, this {v[key]:.2f}×."

    return reason


def commit(v):
    return f"Beside one syncfs for all after `cp -a`, instead of an fsync of each, it takes {v['changes-commit-syncfs']:.2f}×; " \
           "the time of commit includes looking at everything first, and taking what was committed out of the layer."


REASONS = {
    "changes-commit": commit,
    "root-start": root_start,
    **{key: beside_peers(key) for key in (
        "root-walk-first", "root-walk", "root-read-first", "root-read", "root-git-first", "root-git",
    )},
    "start-share": start_share,
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
    if row.key not in REASONS:
        return "No reason recorded."
    try:
        return REASONS[row.key](values)
    except KeyError as absent:
        return f"No reason recorded: what it would be compared with ({absent.args[0]}) was not measured."

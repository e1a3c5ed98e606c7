# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the machine: its description (no names of hosts, no paths), free space, memory of processes."""

import os
import subprocess
import time


def lines_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def value_of(path, key, separator):
    """The first value after `key` in a file of lines `key<separator>value`, or an empty string."""
    for line in lines_of(path):
        name, found, value = line.partition(separator)
        if found and name.strip() == key:
            return value.strip().strip('"')
    return ""


def version(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        return (done.stdout.splitlines() or ["unknown version"])[0]
    except OSError:
        return f"{os.path.basename(argv[0])} absent"


def file_system(path):
    """The type of the file system that holds `path`, as mountinfo names it."""
    best, kind = "", "unknown"
    for line in lines_of("/proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        point = left.split()[4]
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


def free_mib(path):
    """MiB that can be written below `path`: free space, and no more than the memory for a tmpfs or the page cache."""
    space = os.statvfs(path)
    memory = value_of("/proc/meminfo", "MemAvailable", ":").split()
    return min(space.f_bavail * space.f_frsize >> 20, int(memory[0]) >> 10 if memory else 1 << 20)


def describe(data, bwrap):
    """Lines that say on what the numbers were taken."""
    system = os.uname()
    model = value_of("/proc/cpuinfo", "model name", ":") or system.machine
    memory = int(value_of("/proc/meminfo", "MemTotal", ":").split()[0]) / 2**20
    distribution = value_of("/etc/os-release", "PRETTY_NAME", "=") or "unknown distribution"
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    return [
        time.strftime("%Y-%m-%d, UTC", time.gmtime()),
        f"{system.sysname} {system.release}, {distribution}",
        f"{len(os.sched_getaffinity(0))} cores, {model}, {memory:.0f} GiB of memory",
        f"{len(lines_of('/proc/self/mountinfo'))} mounts; data and state on {file_system(data)}; run by {user}",
        f"{version([bwrap, '--version']) if bwrap else 'bwrap absent'}; {version(['gcc', '--version'])}",
        f"load average before the first measurement: {os.getloadavg()[0]:.2f}",
    ]


def pss(pid):
    """PSS of a process in KiB, or None when it cannot be read."""
    value = value_of(f"/proc/{pid}/smaps_rollup", "Pss", ":").split()
    return int(value[0]) if value else None


def pss_beside(pids, payload):
    """For each of `pids`: PSS in KiB of it and all below it but those named `payload`; None where unreadable."""
    below, names = {}, {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        stat = "\n".join(lines_of(f"/proc/{entry}/stat"))
        opening, closing = stat.find("("), stat.rfind(")")
        if closing < 0:
            continue
        names[int(entry)] = stat[opening + 1:closing]
        below.setdefault(int(stat[closing + 2:].split()[1]), []).append(int(entry))
    sizes = []
    for pid in pids:
        tree = [pid]
        for member in tree:
            tree += below.get(member, [])
        parts = [pss(member) for member in tree if names.get(member) != payload]
        sizes.append(None if None in parts else sum(parts))
    return sizes

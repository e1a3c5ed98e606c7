# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of environments as nobody should send them: all digests right, one thing wrong.

    portable.py FILE CASE    writes one
    portable.py cases        lists the cases, with what the refusal says
"""

import hashlib
import io
import os
import sys
import tarfile

CASES = {
    "good": None,
    "dots": "no name to be restored",
    "dots-inside": "no name to be restored",
    "absolute": "no name to be restored",
    "through-link": "does not come before it|Not a directory|Too many levels",
    "link-outside": "not in its part of the layer",
    "link-path": "not in its part of the layer",
    "link-dots": "linked to a name that is none",
    "link-nowhere": "linked to what is not there",
    "device": "it is a device",
    "attribute": "something that this version does not know",
    "newer": "written by a newer paddock .version 9",
    "newer-record": "written by a newer paddock",
    "other": "not an archive of an environment",
    "unknown": "holds no such thing",
    "twice": "File exists|comes twice",
    "no-parent": "does not come before it",
    "chain": "a layer that is not in the archive",
    "tag": "cannot have this name|no name to be restored",
    "slot-path": "names no place",
    "bases": "bases: it is damaged",
    "bases-slot": "bases: it is damaged",
    "ids": "not as many ids here",
    "after": "comes after the manifest",
    "manifest": "paddock-manifest|its digest differs|does not name all",
    "digest": "its digest is wrong",
    "no-digest": "truncated|it is missing",
    "trailing": "something follows its end",
    "sparse": "overlap or lie outside|not what is stored",
    "identity": "contradicts the beginning",
}


class Archive:
    def __init__(self):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w", format=tarfile.PAX_FORMAT)
        self.manifest = ""

    def add(self, name, data=b"", kind=tarfile.REGTYPE, link="", uid=os.getuid(), gid=os.getgid(), pax=None, mode=0o644, listed=True):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.uid, info.gid, info.mode = kind, link, uid, gid, mode
        info.size = len(data)
        info.pax_headers = pax or {}
        self.tar.addfile(info, io.BytesIO(data))
        if kind == tarfile.REGTYPE and listed:
            self.manifest += hashlib.sha256(data).hexdigest() + "  " + name + "\n"


def build(case):
    a = Archive()
    version = 9 if case == "newer" else 1
    identity = "root" if case == "identity" else "self"
    a.add("something" if case == "other" else "paddock-export",
          f"paddock-export {version}\nname\tguest\nidentity\t{identity}\nowner\t{os.getuid()}\t{os.getgid()}\n".encode())
    a.add("environment", f"paddock-environment {9 if case == 'newer-record' else 1}\nname\tguest\n".encode())
    if case.startswith("bases"):
        a.add("bases", b"paddock-bases 1\n" + (b"absent 12345678 f\n" if case == "bases-slot" else b"absent\n"))
    a.add("layer/chain", b"1234-5\n" if case == "chain" else b"")
    a.add("layer/0/path", b"changes ../x\n" if case == "slot-path" else f"changes {os.environ['HOME']}\n".encode())
    top = "layer/0/upper"
    a.add(top, kind=tarfile.DIRTYPE, mode=0o755)
    a.add(top + "/f", b"content\n")
    if case == "dots":
        a.add("../../../../../../../../tmp/paddock-hostile", b"x")
    elif case == "dots-inside":
        a.add(top + "/../../../x", b"x")
    elif case == "absolute":
        a.add("/tmp/paddock-hostile", b"x")
    elif case == "through-link":
        a.add(top + "/l", kind=tarfile.SYMTYPE, link=os.environ["OUT"])
        a.add(top + "/l/planted", b"x")
    elif case == "link-outside":
        a.add(top + "/l", kind=tarfile.LNKTYPE, link="/etc/passwd")
    elif case == "link-path":
        a.add(top + "/l", kind=tarfile.LNKTYPE, link="layer/0/path")
    elif case == "link-dots":
        a.add(top + "/l", kind=tarfile.LNKTYPE, link=top + "/../../../environment")
    elif case == "link-nowhere":
        a.add(top + "/l", kind=tarfile.LNKTYPE, link=top + "/none")
    elif case == "device":
        info = tarfile.TarInfo(top + "/d")
        info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 3
        a.tar.addfile(info)
    elif case == "attribute":
        a.add(top + "/a", b"x", pax={"SCHILY.xattr.user.overlay.redirect": "/etc"})
    elif case == "unknown":
        a.add("layer/0/elsewhere", b"x")
    elif case == "twice":
        a.add(top + "/f", b"again\n")
    elif case == "no-parent":
        a.add(top + "/none/f", b"x")
    elif case == "tag":
        a.add("snapshot/-x", b"")
    elif case == "ids":
        a.add(top + "/theirs", b"x", uid=4000000000)
    elif case == "sparse":
        body = b"1\n0\n9999\n".ljust(512, b"\0") + b"x" * 10
        a.add(top + "/s", body, pax={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": top + "/s",
                                     "GNU.sparse.realsize": "100"}, listed=False)
    manifest = a.manifest.replace("a", "b") if case == "manifest" else a.manifest
    a.add("paddock-manifest", manifest.encode(), listed=False)
    if case == "after":
        a.add(top + "/late", b"x")
    digest = hashlib.sha256(a.out.getvalue()).hexdigest()
    if case != "no-digest":
        a.add("paddock-digest", f"sha256 {digest[::-1] if case == 'digest' else digest}\n".encode(), listed=False)
    return a.out.getvalue() + bytes(1024) + (b"x" if case == "trailing" else b"")


if sys.argv[1] == "cases":
    for name, says in CASES.items():
        print(f"{name}\t{says or ''}")
else:
    with open(sys.argv[1], "wb") as file:
        file.write(build(sys.argv[2]))

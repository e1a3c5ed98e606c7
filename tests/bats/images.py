#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""images.py KIND FILE - archives as tests of `paddock image` need them: honest ones of every form, and hostile ones."""
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile


def entry(name, content=b'', kind=tarfile.REGTYPE, mode=0o644, uid=0, gid=0, link='', **more):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid, info.linkname, info.mtime = kind, mode, uid, gid, link, 1600000000
    info.size = len(content)
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def directory(name, **more):
    return entry(name, kind=tarfile.DIRTYPE, mode=more.pop('mode', 0o755), **more)


def tar(entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=form) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


BASE = [directory('./'), directory('bin'), directory('etc'), directory('old'), directory('opaque'), directory('sticky', mode=0o1777),
        entry('etc/keep', b'base\n'), entry('etc/gone', b'base\n'), entry('etc/twice', b'base\n'), entry('old/file', b'old\n'),
        entry('opaque/below', b'old\n'), entry('opaque/both', b'old\n'),
        entry('bin/tool', b'#!/bin/sh\n', mode=0o4755, uid=0, gid=7), entry('bin/other', kind=tarfile.LNKTYPE, link='bin/tool'),
        entry('bin/soft', kind=tarfile.SYMTYPE, link='/etc/keep', mode=0o777), entry('etc/pipe', kind=tarfile.FIFOTYPE),
        entry('etc/user', b'u\n', uid=1000, gid=1000), entry('x' * 120 + '/' + 'y' * 200, b'long\n'),
        entry('etc/marked', b'm\n', pax_headers={'SCHILY.xattr.user.note': 'hello'})]
TOP = [entry('etc/.wh.gone'), entry('etc/twice', b'top\n'), entry('.wh.old'), entry('opaque/both', b'new\n'),
       entry('opaque/.wh..wh..opq'), entry('opaque/fresh', b'new\n'), entry('etc/new', b'new\n')]
THIRD = [entry('old', b'a file now\n'), entry('etc/.wh.nothing')]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def layout(spoil=None, tags=('latest',), machine='amd64'):
    blobs, layers = {}, [tar(BASE), gzip.compress(tar(TOP), mtime=0), tar(THIRD)]
    diff_ids = ['sha256:' + sha(tar(BASE)), 'sha256:' + sha(tar(TOP)), 'sha256:' + sha(tar(THIRD))]
    if spoil == 'diff':
        diff_ids[1] = 'sha256:' + '0' * 64

    def add(data):
        blobs['blobs/sha256/' + sha(data)] = data
        return {'mediaType': 'application/octet-stream', 'digest': 'sha256:' + sha(data), 'size': len(data)}
    config = add(json.dumps({'architecture': machine, 'os': 'linux', 'rootfs': {'type': 'layers', 'diff_ids': diff_ids}}).encode())
    manifest = add(json.dumps({'schemaVersion': 2, 'config': config, 'layers': [add(layer) for layer in layers]}).encode())
    manifests = []
    for tag in tags:
        manifests.append(dict(manifest, mediaType='application/vnd.oci.image.manifest.v1+json',
                              platform={'architecture': machine, 'os': 'linux'},
                              annotations={'org.opencontainers.image.ref.name': tag}))
    if spoil == 'blob':
        name = 'blobs/sha256/' + sha(layers[1])
        blobs[name] = blobs[name][:-9] + b'x' + blobs[name][-8:]
    if spoil == 'missing':
        del blobs['blobs/sha256/' + sha(layers[1])]
    if spoil == 'escape':
        manifests[0]['digest'] = 'sha256:../../../etc/passwd'
    index = json.dumps({'schemaVersion': 2, 'manifests': manifests}).encode()
    if spoil == 'json':
        index = index[:40]
    return dict(blobs, **{'index.json': index, 'oci-layout': b'{"imageLayoutVersion":"1.0.0"}'})


def docker():
    layers = [tar(BASE), tar(TOP), tar(THIRD)]
    config = json.dumps({'architecture': 'amd64', 'os': 'linux',
                         'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + sha(one) for one in layers]}}).encode()
    files = {sha(one) + '.tar': one for one in layers}
    files[sha(config) + '.json'] = config
    files['manifest.json'] = json.dumps([{'Config': sha(config) + '.json', 'RepoTags': ['farm/barn:1'],
                                          'Layers': [sha(one) + '.tar' for one in layers]}]).encode()
    return files


def packed(files):
    return tar([entry(name, data) for name, data in sorted(files.items())], tarfile.USTAR_FORMAT)


def lay(files, place):
    for name, data in files.items():
        os.makedirs(os.path.dirname(os.path.join(place, name)), exist_ok=True)
        with open(os.path.join(place, name), 'wb') as out:
            out.write(data)


GOOD = [directory('etc'), entry('etc/a', b'a\n')]
HOSTILE = {
    'dotdot': GOOD + [entry('etc/../../../evil', b'!')],
    'hardlink': GOOD + [entry('etc/passwd', kind=tarfile.LNKTYPE, link='../../../etc/passwd')],
    'hardlink-absolute': GOOD + [entry('etc/mine', kind=tarfile.LNKTYPE, link='/proc/version')],
    'through-link': GOOD + [entry('out', kind=tarfile.SYMTYPE, link='/../../../../../../var/tmp'), entry('out/paddock-evil', b'!')],
    'long': GOOD + [entry('n' * 300, b'!')],
    'deep': GOOD + [entry('/'.join(['d' * 200] * 30), b'!')],
    'overlay-mark': GOOD + [entry('etc/b', b'', pax_headers={'SCHILY.xattr.user.overlay.redirect': '/etc/shadow'})],
    'owner': GOOD + [entry('etc/b', b'b', uid=4000000)],
    'device': GOOD + [directory('dev'), entry('dev/sda', kind=tarfile.BLKTYPE, devmajor=8), entry('disk', kind=tarfile.BLKTYPE, devmajor=8)],
    'type': GOOD + [entry('etc/b', kind=b'Z')],
    'not-a-part': [entry('index.json', b'{}'), entry('etc/passwd', b'!')],
}


def main():
    kind, place = sys.argv[1:]
    forms = {'tar': tar(BASE), 'gnu': tar(BASE, tarfile.GNU_FORMAT), 'oci-archive': packed(layout()), 'docker-archive': packed(docker()),
             'damaged': tar(BASE)[:2048] + b'\xff' * 512 + tar(BASE)[2560:], 'truncated': tar(BASE)[:-4096 - 5000 // 512 * 512],
             'empty': tar([])}
    if kind in ('oci', 'several', 'foreign', 'blob', 'diff', 'missing', 'escape', 'json'):
        lay(layout(spoil=kind, tags=('one', 'two') if kind == 'several' else ('latest',),
                   machine='s390x' if kind == 'foreign' else 'amd64'), place)
        return
    with open(place, 'wb') as out:
        if kind == 'bomb':
            with gzip.GzipFile(fileobj=out, mode='wb', mtime=0) as packer:
                info = tarfile.TarInfo('bomb')
                info.size = 1 << 40
                packer.write(info.tobuf())
                for _ in range(64):
                    packer.write(bytes(1 << 20))
        elif kind in forms:
            out.write(forms[kind])
        else:
            out.write(tar(HOSTILE[kind]))


main()

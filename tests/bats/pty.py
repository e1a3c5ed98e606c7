#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command in a terminal of its own and plays the person in front of it.

Usage: pty.py [STEP...] -- COMMAND [ARGUMENT...]

Steps, carried out in order:
  expect REGEX     wait for this in what the terminal shows after the last match
  send TEXT        type it; \\xHH, \\n, \\r and the like as in Python
  type FILE        type what is in the file
  resize ROWS COLS change the size (it starts with 24 80) and tell with SIGWINCH
  shell COMMAND    run this beside the terminal; it must succeed. $CHILD is the pid of the command in the terminal
  hangup           close the terminal, as when its window is closed
  sleep SECONDS    wait, while the terminal shows what comes

Then it waits for the end of the command. Everything shown goes to standard output; the exit code is the command's,
128+n when signal n ended it, 99 when a step failed or 40 seconds passed (PADDOCK_TEST_PATIENCE: another number).

Only modules of Debian's python3-minimal are used.
"""
import errno
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time

TIOCSWINSZ = 0x5414  # asm-generic/ioctls.h
LIMIT = int(os.environ.get("PADDOCK_TEST_PATIENCE", "40"))

shown = b''  # all of it
seen = 0  # so much of it was matched
end = time.monotonic() + LIMIT
master = child = None
status = None


def fail(why):
    sys.stdout.flush()
    sys.stdout.buffer.write(shown)
    sys.stdout.buffer.flush()
    print('\npty: %s' % why, file=sys.stderr)
    if child and status is None:
        try:
            os.kill(child, signal.SIGCONT)
            os.kill(child, signal.SIGHUP)
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os._exit(99)


def resize(rows, columns):
    fcntl.ioctl(master, TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))


def look(seconds):
    """Takes what the terminal shows within `seconds`. False: nobody has it open any more."""
    global shown
    if master is None:
        time.sleep(min(seconds, 0.05))
        return False
    ready, _, _ = select.select([master], [], [], seconds)
    if not ready:
        return True
    try:
        data = os.read(master, 65536)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False
    shown += data
    return bool(data)


def ended():
    global status
    if status is None:
        pid, code = os.waitpid(child, os.WNOHANG)
        if pid:
            status = code
    return status is not None


def expect(regex):
    global seen
    pattern = re.compile(regex.encode(), re.DOTALL)
    while True:
        match = pattern.search(shown, seen)
        if match:
            seen = match.end()
            return
        if time.monotonic() > end:
            fail('never shown: %s' % regex)
        if not look(0.1) and ended():
            if pattern.search(shown, seen):
                continue
            fail('ended before it was shown: %s' % regex)


def unescape(text):
    return text.encode().decode('unicode_escape').encode('latin-1')


def write(data):
    """Types without ever waiting: a terminal that is full is looked at meanwhile."""
    os.set_blocking(master, False)
    while data:
        try:
            data = data[os.write(master, data[:1024]):]
        except BlockingIOError:
            if time.monotonic() > end:
                fail('the terminal takes no more')
            look(0.01)
    os.set_blocking(master, True)


def play(step):
    global master
    word, _, rest = step.partition(' ')
    if word == 'expect':
        expect(rest)
    elif word == 'send':
        write(unescape(rest))
    elif word == 'type':
        with open(rest, 'rb') as file:
            write(file.read())
    elif word == 'resize':
        resize(*map(int, rest.split()))
    elif word == 'shell':
        if subprocess.call(['/bin/bash', '-c', rest], stdin=subprocess.DEVNULL,
                           env=dict(os.environ, CHILD=str(child))) != 0:
            fail('failed: %s' % rest)
    elif word == 'hangup':
        os.close(master)
        master = None
    elif word == 'sleep':
        until = time.monotonic() + float(rest)
        while time.monotonic() < until:
            if not look(0.05):
                time.sleep(0.05)
    else:
        fail('no such step: %s' % step)


split = sys.argv.index('--')
steps, command = sys.argv[1:split], sys.argv[split + 1:]
child, master = os.forkpty()
if child == 0:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.closerange(3, 256)
    # The size is set by the parent before we go on: it sends a line.
    while os.read(0, 1) != b'\n':
        pass
    try:
        os.execvp(command[0], command)
    finally:
        os._exit(127)
resize(24, 80)
os.write(master, b'\n')
expect(r'\n')  # its echo
shown, seen = b'', 0
for one in steps:
    play(one)
while True:
    alive = look(0.1)
    if ended():
        while alive and master is not None:  # the last words
            ready, _, _ = select.select([master], [], [], 0.05)
            alive = bool(ready) and look(0)
        break
    if time.monotonic() > end:
        fail('the command does not end')
sys.stdout.buffer.write(shown)
sys.stdout.buffer.flush()
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))

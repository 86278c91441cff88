"""Programs that run as another user of this computer, to attack losttick from outside."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.needs import not_applicable

#: Connects to every TCP port and every Unix socket that opens from now on, says forged frames of a
#: lab's agent there, and prints the inode of each door that let it in. It ends with its standard
#: input.
ATTACK = """
import re, select, socket, struct, sys, zlib

def frame(kind, payload):
    head = struct.pack("<cBHQ", kind, 0, len(payload), 1) + payload
    return head + struct.pack("<I", zlib.crc32(head))

FORGED = b"".join([
    frame(b"h", b""), frame(b"r", b"0 "), frame(b"o", b"forged"), frame(b"q", b"{}"),
    frame(b"x", b"0"),
])

def doors():
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        for row in open("/proc/net/" + table).read().splitlines()[1:]:
            words = row.split()
            if words[3] == "0A":
                yield family, (host, int(words[1].rpartition(":")[2], 16)), words[9]
    for row in open("/proc/net/unix").read().splitlines()[1:]:
        words = row.split()
        if int(words[3], 16) & 1 << 16 and len(words) > 7:
            yield socket.AF_UNIX, re.sub("^@", chr(0), words[7]), words[6]

known, held = set(doors()), []
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.02)[0]:
    for door in set(doors()) - known:
        known.add(door)
        caller = socket.socket(door[0])
        caller.settimeout(0.5)
        try:
            caller.connect(door[1])
            caller.sendall(FORGED)
        except OSError:
            continue
        held.append(caller)
        print(door[2], flush=True)
"""


@contextmanager
def as_nobody(code: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a Python program as the user nobody, and end it with the context.

    The test is skipped where this user may not become another one.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        not_applicable("only root can become another user, by setpriv")
    become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    # The interpreter itself: a virtual environment may lie in a private folder.
    python = str(Path(sys.executable).resolve())
    with subprocess.Popen(
        [*become, python, "-I", "-S", "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()

"""A hostile peer: it writes to losttick's sockets as if it were QEMU.

QEMU's ends of the sockets are taken from the running process by pidfd_getfd(2), which a
process may do to others of the same user.
"""

import contextlib
import ctypes
import os
import random
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.guest.tick.lines import render

#: The number of pidfd_getfd on every architecture that has it (Linux 5.6).
_PIDFD_GETFD = 438

#: Bytes of a flood.
FLOOD = 512 * 1024


@contextlib.contextmanager
def its_end(pid: int, name: str) -> Iterator[socket.socket | None]:
    """Give QEMU's end of one of its sockets, by the name of its device; None if it is gone."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text()
        found = re.search(rf"id={name},fd=(\d+)", line)
        process = os.pidfd_open(pid)
    except (OSError, ValueError):
        yield None
        return
    try:
        taken = -1
        if found:
            taken = ctypes.CDLL(None, use_errno=True).syscall(
                _PIDFD_GETFD, process, int(found[1]), 0
            )
        if taken < 0:
            yield None
        else:
            with socket.socket(fileno=taken) as end:
                yield end
    finally:
        os.close(process)


def say(pid: int, name: str, data: bytes) -> bool:
    """Send bytes in QEMU's name; return False if QEMU is gone."""
    with its_end(pid, name) as end:
        if end is None:
            return False
        with contextlib.suppress(OSError):  # losttick has closed its end, or does not read
            while data:
                data = data[end.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) :]
    return True


def noise(rng: random.Random) -> bytes:
    """Return bytes for a console that are no line of the guest."""
    kinds: list[Callable[[], bytes]] = [
        lambda: rng.randbytes(rng.randrange(1, 2000)),
        lambda: b"\n" * rng.randrange(1, 500),
        lambda: bytes(rng.randrange(1, 5000)),
        lambda: rng.randbytes(FLOOD),
        lambda: b"T0 " * (FLOOD // 3),
        lambda: render("T", rng.randrange(1000), 1, 2, 3, 4, 5)[:-4] + b"fff\n",
        lambda: b"\x1b]0;losttick\x07\x1b[2J\n",
    ]
    return rng.choice(kinds)()


def testimonies(rng: random.Random) -> bytes:
    """Return many whole lines that nobody has asked for."""
    line = render("N", 1, 0x40, *([0] * 12), 0xF000, 0x34, 0)
    return line * rng.randrange(1, 4000)


def answer(rng: random.Random) -> bytes:
    """Return bytes for the monitor that QEMU would not send."""
    kinds = [
        b"Segmentation fault\r\n",
        b'{"return": {}, "id": "nobody asked"}\r\n',
        b'{"return": {}}\r\n',
        b'{"error": {"class": "GenericError", "desc": "\\u001b[2J"}}\r\n',
        b"[]\r\n", b"null\r\n", b"{}\r\n", b'{"event": 7}\r\n', b"\xff\xfe\r\n",
        b'{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 0}}\r\n',
        b'{"event": "SHUTDOWN", "data": {"guest": false}}\r\n',
        b'{"event": "JOB_STATUS_CHANGE", "data": {}}\r\n',
        b'{"event": "MIGRATION", "data": null}\r\n',
        b"[" * 100_000 + b"\r\n",
        b'{"a": ' * 100_000 + b"\r\n",
        b'{"return": ' + b"9" * 10_000 + b"}\r\n",
    ]  # fmt: skip
    return rng.choice(kinds)

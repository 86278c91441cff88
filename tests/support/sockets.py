"""The sockets of this computer at which a program waits for others to connect."""

import re
from collections.abc import Iterator
from pathlib import Path

#: The state TCP_LISTEN in /proc/net/tcp, and the flag __SO_ACCEPTCON in /proc/net/unix.
_LISTENS, _ACCEPTS = "0A", 1 << 16


def listening() -> dict[int, str]:
    """Return the inode of each listening socket, TCP or Unix, and how it is reached."""
    return dict([*_tcp(), *_unix()])


def _tcp() -> Iterator[tuple[int, str]]:
    for table in ("tcp", "tcp6"):
        for line in _rows(Path("/proc/net") / table):
            if line[3] == _LISTENS:
                yield int(line[9]), f"port {int(line[1].rpartition(':')[2], 16)}"


def _unix() -> Iterator[tuple[int, str]]:
    for line in _rows(Path("/proc/net/unix")):
        if int(line[3], 16) & _ACCEPTS:
            yield int(line[6]), line[7] if len(line) > 7 else "a socket without a name"


def _rows(table: Path) -> list[list[str]]:
    return [line.split() for line in table.read_text().splitlines()[1:]] if table.exists() else []


def doors(pid: int) -> list[str]:
    """Return how others reach the listening sockets of a process."""
    waiting = listening()
    return [waiting[inode] for inode in held(pid) if inode in waiting]


def held(pid: int) -> list[int]:
    """Return the inodes of the sockets of a process."""
    targets = map(_target, (Path("/proc") / str(pid) / "fd").iterdir())
    found = (re.fullmatch(r"socket:\[(\d+)\]", target) for target in targets)
    return [int(socket[1]) for socket in found if socket]


def _target(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:  # closed since
        return ""

"""Processes of a test, found by a variable that they inherit."""

import os
import time
from collections.abc import Callable
from pathlib import Path

#: A variable in the environment of every process that a test starts.
MARKER = "LOSTTICK_TEST"


def marked_processes(marker: str) -> dict[int, str]:
    """Return the processes, other than this one, that inherited the marker."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARKER}={marker}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "cmdline").read_bytes().decode()
        except OSError:
            continue
    found.pop(os.getpid(), None)
    return found


def lives(pid: int) -> bool:
    """Return whether a process goes on. In many containers nobody collects one that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> bool:
    """Wait for something that another process does, under a deadline."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()

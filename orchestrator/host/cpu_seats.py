"""Seats on CPUs, which runs of losttick take so that their vCPUs do not share a CPU.

A seat is a Unix socket bound to an abstract name (unix(7)). The kernel lets one process at a
time have the name and frees it when that process ends, however it ends, so nothing is left
behind. (Python's sockets are not inherited by child processes.) Runs in other network
namespaces, such as containers, have names of their own: they don't see these seats.
"""

import os
import socket
from collections.abc import Iterable
from pathlib import Path

#: Seats on one CPU. vCPUs beyond that get no seat and share whichever CPU is named last.
SEATS = 64

#: Begins the names of all seats. Another user's run counts too: the CPUs are the same.
PREFIX = "losttick/cpu"


class CpuSeat:
    """One vCPU's place on a CPU, until it is closed."""

    def __init__(self, cpu: int, lock: socket.socket | None) -> None:
        self.cpu = cpu
        self._lock = lock

    def close(self) -> None:
        """Free the seat."""
        if self._lock:
            self._lock.close()


def take_seat(cpus: Iterable[int], prefix: str = PREFIX) -> CpuSeat:
    """Take a seat on the CPU on which the fewest seats are taken.

    Args:
        cpus: CPUs that may be used, the preferred one first. At least one.
        prefix: begins the names of all seats that count.
    """
    ordered = list(cpus)
    for row in range(SEATS):
        for cpu in ordered:
            if lock := hold(f"{prefix}/{cpu}/{row}"):
                return CpuSeat(cpu, lock)
    return CpuSeat(ordered[-1], None)


def hold(name: str) -> socket.socket | None:
    """Return a socket that is bound to an abstract name, or None if another socket is."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0{name}")
    except OSError:
        lock.close()
        return None
    return lock


def holder(name: str) -> str | None:
    """Return the number of the socket that has an abstract name; None if it can't be told."""
    try:
        lines = Path("/proc/net/unix").read_bytes().split(b"\n")
    except OSError:
        return None
    fields = (line.split(b" ") for line in lines if line.endswith(f" @{name}".encode()))
    return next((os.fsdecode(each[-2]) for each in fields), None)


def how_to_find(name: str) -> str:
    """Return what shows the process that has an abstract name. Any user's may, whatever it is."""
    return f"`sudo ss -xap | grep {name}` shows which process has it"

"""Reads the times of vCPU threads, and tells from them how a vCPU spent a window."""

from pathlib import Path
from typing import Protocol

from orchestrator.host.protocol import QemuProcess
from orchestrator.host.thread_times import cpu_ns, run_delay_ns
from orchestrator.look.readings import ThreadTimes

#: Most CPU time that a sleeping thread uses when somebody looks at it, as a share of the window.
_HARDLY = 0.02


class Threads(Protocol):
    """Reads the times of the threads of one QEMU."""

    async def times(self, thread_id: int) -> ThreadTimes | None:
        """Return a thread's times at this moment; None if the thread is gone."""
        ...


class LocalThreads:
    """The threads of a process on this computer, by /proc."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    async def times(self, thread_id: int) -> ThreadTimes | None:
        """Return a thread's times; see `Threads.times`."""
        try:
            return ThreadTimes(
                cpu_ns(self.pid, thread_id),
                run_delay_ns(self.pid, thread_id),
                _switches(self.pid, thread_id),
            )
        except (ProcessLookupError, PermissionError):
            return None


class ProcessThreads:
    """The threads of a QEMU that a host started or attached to, perhaps on another computer."""

    def __init__(self, process: QemuProcess) -> None:
        self._process = process

    async def times(self, thread_id: int) -> ThreadTimes | None:
        """Return a thread's times; see `Threads.times`. Such a host does not count switches."""
        try:
            return ThreadTimes(
                await self._process.vcpu_cpu_ns(thread_id),
                await self._process.vcpu_run_delay_ns(thread_id),
            )
        except ProcessLookupError:
            return None


def _switches(pid: int, thread_id: int) -> int | None:
    """Return how many times a thread went to sleep by itself; None if the kernel does not say."""
    try:
        status = Path(f"/proc/{pid}/task/{thread_id}/status").read_bytes()
    except OSError:
        return None
    return _number(status, b"voluntary_ctxt_switches")


def slept(before: ThreadTimes, after: ThreadTimes, ns: int) -> bool:
    """Return whether a thread slept at both ends of a window, and hardly ran between them."""
    asleep = before.run_delay_ns is not None and after.run_delay_ns is not None
    return asleep and after.cpu_ns - before.cpu_ns <= _HARDLY * ns


def starved(before: ThreadTimes, after: ThreadTimes, ns: int) -> bool:
    """Return whether a thread did not sleep at either end of a window, and yet hardly ran."""
    awake = before.run_delay_ns is None and after.run_delay_ns is None
    return awake and after.cpu_ns - before.cpu_ns <= _HARDLY * ns


def thread_group(thread_id: int) -> int | None:
    """Return the process of a thread of this computer; None if there is no such thread."""
    try:
        status = Path(f"/proc/{thread_id}/status").read_bytes()
    except OSError:
        return None
    return _number(status, b"Tgid")


def _number(status: bytes, wanted: bytes) -> int | None:
    """Return a number from /proc's file `status`. A thread's name in it may have any bytes."""
    for line in status.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == wanted and value.strip().isdigit():
            return int(value)
    return None

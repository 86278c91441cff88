"""CPU time and waiting time of threads, from /proc."""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path


def cpu_ns(pid: int, thread_id: int) -> int:
    """Return the CPU time that a thread has used, in nanoseconds.

    From `schedstat`, to the scheduler tick (up to 4 ms late); from `stat` where the
    kernel was built without it (10 ms).

    Raises:
        ProcessLookupError: the thread is gone.
    """
    task = Path(f"/proc/{pid}/task/{thread_id}")
    with contextlib.suppress(FileNotFoundError):
        ran, waited, slices = map(int, (task / "schedstat").read_bytes().split())
        if ran or waited or slices:  # all 0: a kernel that does not count
            return ran
    try:
        fields = (task / "stat").read_bytes().rpartition(b")")[2].split()
    except FileNotFoundError:
        raise ProcessLookupError(f"thread {thread_id} of QEMU {pid} is gone") from None
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def run_delay_ns(pid: int, thread_id: int) -> int | None:
    """Return how long a sleeping thread has waited for a CPU while it could run, in nanoseconds.

    From `schedstat`; None where the kernel does not count it, and None unless the thread
    sleeps: the kernel adds a wait that lasts only when it has ended.

    Raises:
        ProcessLookupError: the thread is gone.
    """
    task = Path(f"/proc/{pid}/task/{thread_id}")
    try:
        if not sleeps((task / "stat").read_bytes()):
            return None
        ran, waited, slices = map(int, (task / "schedstat").read_bytes().split())
    except FileNotFoundError:
        if task.exists():
            return None
        raise ProcessLookupError(f"thread {thread_id} of QEMU {pid} is gone") from None
    return waited if ran or waited or slices else None


def sleeps(stat: bytes) -> bool:
    """Return whether a thread sleeps until an event, from its `/proc` file `stat`.

    A thread that waits for a CPU, for a page from disk, or for SIGCONT does not.
    """
    return stat.rpartition(b")")[2].split()[:1] == [b"S"]


def waited_ns(pid: int, besides: Collection[int]) -> int:
    """Return how long a process's threads, except `besides`, have waited for a CPU, in ns.

    From `schedstat`; 0 where the kernel does not count it.
    """
    total = 0
    with contextlib.suppress(FileNotFoundError):  # the process has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            if int(task.name) not in besides:
                with contextlib.suppress(OSError):
                    total += int((task / "schedstat").read_text(errors="replace").split()[1])
    return total


class ThreadTimes:
    """The thread times of a QEMU on this computer; the part of `QemuProcess` that reads /proc."""

    pid: int

    async def vcpu_cpu_ns(self, thread_id: int) -> int:
        """Return the CPU time of a vCPU thread; see `QemuProcess.vcpu_cpu_ns`."""
        return cpu_ns(self.pid, thread_id)

    async def vcpu_run_delay_ns(self, thread_id: int) -> int | None:
        """Return a vCPU thread's time on run queues; see `QemuProcess.vcpu_run_delay_ns`."""
        return run_delay_ns(self.pid, thread_id)

    async def waited_ns(self, besides: Collection[int]) -> int:
        """Return the threads' time on run queues; see `QemuProcess.waited_ns`."""
        return waited_ns(self.pid, besides)

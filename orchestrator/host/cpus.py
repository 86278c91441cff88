"""The CPUs of this computer to which vCPU threads are pinned."""

import contextlib
import os
import subprocess

from orchestrator.host.cpu_seats import CpuSeat, take_seat


def vcpus_at_a_time() -> int:
    """Return how many vCPUs run at a time: one for each core, less one core for losttick."""
    cpus = len(os.sched_getaffinity(0))
    return cpus - 1 if cpus > 2 else cpus


def usable_cpus() -> list[int]:
    """Return the CPUs for vCPUs, the preferred one first; none where there is only one CPU.

    The first CPUs serve most interrupts, so the last one is preferred. Where there are more
    than two, the first is left to losttick itself.
    """
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return []
    usable = cpus[1:] if len(cpus) > 2 else cpus
    return usable[::-1]


class Pins:
    """The vCPU threads of one QEMU that losttick has pinned."""

    def __init__(self, uid: int | None = None) -> None:
        """Pin nothing yet.

        Args:
            uid: the user as whom QEMU runs, if it is another one than losttick's own.
        """
        self._uid = uid
        self._seats: list[CpuSeat] = []
        self._found: dict[int, set[int]] = {}
        """CPUs on which each pinned thread was allowed to run before."""

    def pin(self, thread_id: int, cpu: int | None = None) -> int | None:
        """Pin a thread to the CPU with the fewest vCPUs of this and other runs; return that CPU.

        Returns None where there is only one CPU, or the kernel refuses.

        Args:
            thread_id: the thread.
            cpu: another CPU to take instead, on which another QEMU of this run has its seat.
        """
        cpus = usable_cpus()
        if not cpus:
            return None
        if cpu is None:
            seat = take_seat(cpus)
            self._seats.append(seat)
            cpu = seat.cpu
        try:
            found = os.sched_getaffinity(thread_id)
            self._set(thread_id, cpu)
        except (OSError, subprocess.SubprocessError):
            return None
        self._found.setdefault(thread_id, found)
        return cpu

    def _set(self, thread_id: int, cpu: int) -> None:
        """Pin a thread. A root without CAP_SYS_NICE may do that only as the thread's own user.

        Raises:
            OSError, SubprocessError: the kernel refuses it.
        """
        try:
            os.sched_setaffinity(thread_id, {cpu})
        except PermissionError:
            if self._uid is None:
                raise
            command = ["taskset", "--pid", "--cpu-list", str(cpu), str(thread_id)]
            subprocess.run(command, user=self._uid, check=True, capture_output=True, timeout=5)

    def give_back(self) -> None:
        """Free the CPUs of a QEMU that ends."""
        while self._seats:
            self._seats.pop().close()

    def undo(self) -> None:
        """Let the threads run where they could before, and free the CPUs."""
        for thread_id, found in self._found.items():
            with contextlib.suppress(OSError):  # the thread has ended
                os.sched_setaffinity(thread_id, found)
        self._found.clear()
        self.give_back()

"""The CPUs of this computer to which vCPU threads are pinned."""

import collections
import contextlib
import os


class Cpus:
    """Hands out CPUs, the last one first, because the first CPUs serve most interrupts."""

    def __init__(self) -> None:
        self._taken: collections.Counter[int] = collections.Counter()

    def take(self, pins: list[int]) -> int | None:
        """Return the CPU with the fewest vCPUs, and add it to `pins`.

        Where there are more than two, the first is left to the harness. Returns None where
        there is only one.
        """
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            return None
        usable = cpus[1:] if len(cpus) > 2 else cpus
        cpu = min(reversed(usable), key=self._taken.__getitem__)
        self._taken[cpu] += 1
        pins.append(cpu)
        return cpu

    def give_back(self, pins: list[int]) -> None:
        """Free the CPUs in `pins`."""
        while pins:
            self._taken[pins.pop()] -= 1


def vcpus_at_a_time() -> int:
    """Return how many vCPUs run at a time: one for each core, less one core for losttick."""
    cpus = len(os.sched_getaffinity(0))
    return cpus - 1 if cpus > 2 else cpus


#: CPUs available to this process, shared by every QEMU it uses.
OUR_CPUS = Cpus()


class Pins:
    """The vCPU threads of one QEMU that losttick has pinned."""

    def __init__(self, cpus: Cpus = OUR_CPUS) -> None:
        self._cpus = cpus
        self._taken: list[int] = []
        self._found: dict[int, set[int]] = {}
        """CPUs on which each pinned thread was allowed to run before."""

    def pin(self, thread_id: int) -> int | None:
        """Pin a thread to a CPU that no other vCPU has, and return that CPU.

        Returns None where there is only one CPU, or the kernel refuses.
        """
        cpu = self._cpus.take(self._taken)
        if cpu is None:
            return None
        try:
            found = os.sched_getaffinity(thread_id)
            os.sched_setaffinity(thread_id, {cpu})
        except OSError:
            return None
        self._found.setdefault(thread_id, found)
        return cpu

    def give_back(self) -> None:
        """Free the CPUs of a QEMU that ends."""
        self._cpus.give_back(self._taken)

    def undo(self) -> None:
        """Let the threads run where they could before, and free the CPUs."""
        for thread_id, found in self._found.items():
            with contextlib.suppress(OSError):  # the thread has ended
                os.sched_setaffinity(thread_id, found)
        self._found.clear()
        self.give_back()

"""The CPUs of this computer to which vCPU threads are pinned."""

import collections
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


#: CPUs available to this process, shared by every QEMU it starts.
OUR_CPUS = Cpus()

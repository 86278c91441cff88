"""Which of this machine's CPUs each vCPU thread is pinned to."""

import collections
import os


class Cpus:
    """Gives out CPUs, the last first: IRQs favour the first."""

    def __init__(self) -> None:
        self._taken: collections.Counter[int] = collections.Counter()

    def take(self, pins: list[int]) -> int | None:
        """Take the CPU that has the fewest vCPUs, and note it in `pins`.

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
        """Free what was taken."""
        while pins:
            self._taken[pins.pop()] -= 1


def vcpus_at_a_time() -> int:
    """Return how many vCPUs run at a time: one a core, less the harness's own."""
    cpus = len(os.sched_getaffinity(0))
    return cpus - 1 if cpus > 2 else cpus


#: Those of this process.
OUR_CPUS = Cpus()

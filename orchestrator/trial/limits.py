"""How long a trial waits, and by which clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of silence for one period.

    Silence is measured in CPU time of the vCPU thread: it stops when the host
    stalls, and a stalled host has lost nothing.
    """

    period_ns: int
    vcpus: int = 1
    """Of the guest: they may have to share a CPU, which takes them so much longer."""

    @property
    def silence_ns(self) -> int:
        """vCPU time without a tick after which the guest is silent.

        Five periods, and at least 40 ms: the kernel updates that time only at
        scheduler ticks, 4 ms apart at worst.
        """
        return max(5 * self.period_ns, 40_000_000)

    @property
    def confirm_ns(self) -> int:
        """vCPU time that must pass silently once more after QEMU has answered.

        Under TCG and with an irqchip in QEMU it is QEMU's main loop that fires
        timers: an answer shows that it has had its turn.
        """
        return max(self.period_ns, 10_000_000)

    @property
    def untouched_ns(self) -> int:
        """vCPU time to wait, hands off, once silence is established."""
        return max(5 * self.period_ns, 40_000_000)

    @property
    def look_ns(self) -> int:
        """vCPU time to wait after each look, to see whether it cured the guest.

        A vCPU that re-arms at an NMI does so once it has testified; on a shared port, once
        the others have.
        """
        return max((1 + self.vcpus) * self.period_ns, 12_000_000)

    @property
    def wall_cap_ns(self) -> int:
        """Host time after which any wait ends as `unknown`."""
        return max(40 * self.period_ns, 5_000_000_000) * self.vcpus

    @property
    def look_cap_ns(self) -> int:
        """Host time after which the wait after a look ends in any case."""
        return max(5 * self.look_ns, 500_000_000) * self.vcpus

    def next_look_ns(self, left_ns: int) -> int:
        """Return the host time until the next look at the vCPU's CPU time.

        Args:
            left_ns: vCPU time that is left to the limit; not known to less than 4 ms.
        """
        return min(max(left_ns, 0) + 5_000_000, max(self.period_ns, 5_000_000))

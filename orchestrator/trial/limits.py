"""How long a trial waits for a tick, and by which clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of silence for one timer period.

    Silence is measured in CPU time of the vCPU's thread, which stands still while the host
    stalls: a stalled host has lost nothing.
    """

    period_ns: int
    vcpus: int = 1
    """vCPUs of the guest. They may have to share one CPU, so waits in host time grow with them."""

    @property
    def silence_ns(self) -> int:
        """vCPU time without a tick after which the guest is silent.

        Five periods, and at least 40 ms: the kernel updates a thread's CPU time only at
        scheduler ticks, which are up to 4 ms apart.
        """
        return max(5 * self.period_ns, 40_000_000)

    @property
    def confirm_ns(self) -> int:
        """vCPU time that must pass without a tick after QEMU has answered.

        Under TCG, and with the irqchip in QEMU, QEMU's main loop fires the timers. Its
        answer shows that the main loop has run.
        """
        return max(self.period_ns, 10_000_000)

    @property
    def untouched_ns(self) -> int:
        """vCPU time for which a silent guest is left alone before the first look."""
        return max(5 * self.period_ns, 40_000_000)

    def control_left(self, *, goes_on: bool, qemus: bool) -> tuple[float, float, float]:
        """Return how much of a built-in control's window may be left at its save, in periods.

        On some kernels a load restarts the timer, which must expire inside the window. The
        window must have ended when the silent guest is asked to testify. The guest may be slower
        than usual meanwhile: it counts the window in its own progress.

        The ticks of a timer that runs by itself go on after the window. If KVM runs the timer,
        they should do so before the guest counts as lost, as the examination takes time. If
        QEMU runs the timer, a late tick may be the fault of a QEMU that waits for a CPU. So the
        window must be long enough to prove the silence: only a QEMU that has answered meanwhile
        is not to blame.

        Args:
            goes_on: whether ticks go on after the window.
            qemus: whether QEMU runs the timer.

        Returns:
            The least; the most if it can be chosen; the most that will do.
        """
        untouched = (self.silence_ns + self.untouched_ns) / self.period_ns
        proven = (self.silence_ns + self.confirm_ns) / self.period_ns
        if not goes_on:
            return 2.0, 1.2 * untouched, 1.2 * untouched
        if qemus:
            return proven + 4, proven + untouched, proven + untouched
        return 2.0, 0.6 * untouched, 1.4 * untouched

    @property
    def asleep_ns(self) -> int:
        """Host time of a vCPU's sleep after which nobody waits for a tick any more.

        It holds for a guest that never sleeps, and for one that sleeps and wakes without a tick.
        """
        return max(25 * self.period_ns, 500_000_000)

    @property
    def look_ns(self) -> int:
        """vCPU time to wait after each look, in case the look cured the guest.

        A vCPU that re-arms at an NMI prints its testimony first. On a shared console it
        also waits up to two periods until the other vCPUs have printed theirs, and the next
        testimony must come more than a period after that.
        """
        periods = 2 if self.vcpus == 1 else self.vcpus + 2
        return max(periods * self.period_ns, 12_000_000)

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
            left_ns: vCPU time that is left until the limit, with an uncertainty of 4 ms.
        """
        return min(max(left_ns, 0) + 5_000_000, max(self.period_ns, 5_000_000))

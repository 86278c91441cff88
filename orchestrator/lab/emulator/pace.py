"""The time that an emulator really had, by which its lab's deadlines run."""

import time
from pathlib import Path

#: Time on the wall after which a deadline is over, in multiples of the deadline: an emulator
#: that never gets a CPU must end, too.
LONGEST = 6


class Pace:
    """Counts the time of an emulator without the time in which it waited for a CPU.

    On a busy host an emulator may get a small share of a CPU, so that its lab takes minutes for
    what usually takes seconds. An emulator that sleeps, is stopped or is stuck waits for
    no CPU: its time counts.
    """

    def __init__(self, pid: int | None = None) -> None:
        """Begin to count.

        Args:
            pid: the emulator; None before it runs, when all time counts.
        """
        self.pid = pid
        self._began_s = time.monotonic()
        self._waited_before_s = self._waited_s()

    def _waited_s(self) -> float:
        if self.pid is None:
            return 0.0
        try:
            return (
                int(Path(f"/proc/{self.pid}/schedstat").read_text(errors="replace").split()[1])
                / 1e9
            )
        except (OSError, IndexError):  # it has ended, or the kernel does not count
            return 0.0

    @property
    def wall_s(self) -> float:
        """Seconds on the wall since the count began."""
        return time.monotonic() - self._began_s

    @property
    def waited_s(self) -> float:
        """Seconds in which the emulator waited for a CPU."""
        return min(max(self._waited_s() - self._waited_before_s, 0.0), self.wall_s)

    def left_s(self, limit_s: float) -> float:
        """Return how many seconds are left of a deadline; none or less if it is over."""
        wall_s = self.wall_s
        return min(limit_s - (wall_s - self.waited_s), LONGEST * limit_s - wall_s)

    def restart(self, pid: int | None) -> None:
        """Count anew, from now on."""
        self.pid, self._began_s = pid, time.monotonic()
        self._waited_before_s = self._waited_s()

    def excuse(self) -> str:
        """Return how long the emulator waited for a CPU, and what to do; empty if it did not."""
        if self.waited_s < 0.2 * self.wall_s:
            return ""
        return (
            f" (the emulator waited for a CPU for {self.waited_s:.0f} of {self.wall_s:.0f} s). "
            "Run it while this computer is less busy, or with --parallel 1"
        )

"""Tells whether the TSCs of a guest's vCPUs moved apart at a load.

Each vCPU notes its TSC all the time. A vCPU that has read the next one's note, and then its own
TSC, knows by how much its TSC is ahead of the other one at most: the note is older than its own
reading. Each vCPU reports the least such bound since its last line, and the last vCPU reports
how far it is ahead of the first. Around this ring the true differences add up to 0, whatever the
TSCs are. The sum of the bounds is therefore the uncertainty of the measurement: some microseconds
where the vCPUs ran at the same time, and more on a busy host. Bounds from before and after a load
hold for the same differences unless the load changed them, so a negative sum proves that it did.
"""

from orchestrator.guest.lines import Tick

#: The sum must be below 0 by so many nanoseconds: a CPU may read its TSC before an earlier load
#: of the other vCPU's note has completed.
TOLERANCE_NS = 2_000

#: Bounds further below 0, in TSC cycles, are not believed: the guest counts in 32 bits, and the
#: note of a vCPU that has not run for minutes looks as if it were ahead. TSCs that are so far
#: apart have jumped off the host's clock, too.
MOST = 10**10


class TscSkew:
    """What the vCPUs of one instance have said about the next one's TSC."""

    def __init__(self, vcpus: int = 1) -> None:
        self._ahead: list[int | None] = [None] * vcpus
        self._loaded = False
        self._wanders = False

    def restart(self) -> None:
        """Begin to hear another instance."""
        self._ahead = [None] * len(self._ahead)
        self._loaded = self._wanders = False

    def load(self, cycles_per_ns: float) -> None:
        """Note that the instance has loaded a save: the lines from now on come after a load.

        TSCs that have moved apart without a load do so on this host by themselves, and no load
        is accused of it.
        """
        if not self._loaded:
            self._wanders = self._moved_ns(cycles_per_ns) > 0
        self._loaded = True

    def hear(self, vcpu: int, tick: Tick) -> None:
        """Learn from a tick of a vCPU. No load may lie between it and the line before."""
        known = self._ahead[vcpu]
        if tick.ahead is None or tick.ahead < -MOST:
            return
        self._ahead[vcpu] = tick.ahead if known is None else min(known, tick.ahead)

    def moved_ns(self, cycles_per_ns: float) -> float:
        """Return how far the TSCs moved apart at a load, at least; 0 if they need not have."""
        return 0.0 if self._wanders or not self._loaded else self._moved_ns(cycles_per_ns)

    def _moved_ns(self, cycles_per_ns: float) -> float:
        bounds = [each for each in self._ahead if each is not None]
        if len(bounds) < len(self._ahead):
            return 0.0
        moved_ns = -sum(bounds) / cycles_per_ns
        return moved_ns if moved_ns > TOLERANCE_NS else 0.0

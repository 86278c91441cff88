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

#: Bounds further below 0, in TSC cycles, are not believed: the guest counts units of 1024 cycles in
#: 32 bits, and the note of a vCPU that has not run for long looks as if it were ahead. The sign
#: changes at 2.2e12 cycles.
MOST = 10**12


class TscSkew:
    """Keeps the bounds that each vCPU of an instance has given for the next one's TSC.

    Bounds from before the load before the latest one are forgotten: TSCs that drift apart slowly
    have not moved apart at a load.
    """

    def __init__(self, vcpus: int = 1, *, synchronised: bool = True) -> None:
        """Prepare; `synchronised` says whether the host's kernel relies on its TSCs."""
        self._before: list[int | None] = [None] * vcpus
        self._since: list[int | None] = [None] * vcpus
        self._synchronised = synchronised
        self._resumed_ns = 0
        self._loaded = False
        self._wanders = False

    def restart(self) -> None:
        """Begin to hear another instance."""
        self._before = [None] * len(self._before)
        self._since = [None] * len(self._since)
        self._loaded = self._wanders = False

    def resume(self, at_ns: int, cycles_per_ns: float, *, loaded: bool) -> None:
        """Begin to hear lines after the guest resumed at a moment, unless that has begun.

        TSCs that have moved apart without a load do so on this host by themselves, and no load
        is accused of it.

        Args:
            at_ns: the moment, by the host's clock.
            cycles_per_ns: the TSC's rate.
            loaded: whether a save was loaded. Else the guest was only stopped.
        """
        if at_ns == self._resumed_ns:
            return
        if not self._loaded:
            self._wanders |= self._moved_ns(cycles_per_ns) > 0
        self._resumed_ns, self._loaded = at_ns, loaded
        self._before = [
            before if since is None else since
            for before, since in zip(self._before, self._since, strict=True)
        ]
        self._since = [None] * len(self._since)

    def learn_wandering(self, unloaded: "TscSkew") -> None:
        """Learn from a guest that was not loaded whether TSCs move apart here by themselves."""
        self._wanders |= unloaded._wanders

    def hear(self, vcpu: int, tick: Tick) -> None:
        """Learn from a tick of a vCPU. No load may lie between it and the line before."""
        known = self._since[vcpu]
        if tick.ahead is None or tick.ahead < -MOST:
            return
        self._since[vcpu] = tick.ahead if known is None else min(known, tick.ahead)

    def moved_ns(self, cycles_per_ns: float) -> float:
        """Return how far the TSCs moved apart at a load, at least; 0 if they need not have."""
        if self._wanders or not self._loaded or not self._synchronised:
            return 0.0
        return self._moved_ns(cycles_per_ns)

    def _moved_ns(self, cycles_per_ns: float) -> float:
        """Return how far they moved apart since the resume before the latest one, at least."""
        bounds = [
            min(each for each in pair if each is not None)
            for pair in zip(self._before, self._since, strict=True)
            if pair != (None, None)
        ]
        if len(bounds) < len(self._before):
            return 0.0
        moved_ns = -sum(bounds) / cycles_per_ns
        return moved_ns if moved_ns > TOLERANCE_NS else 0.0

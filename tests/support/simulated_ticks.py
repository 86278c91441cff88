"""Ticks of a simulated vCPU that has to share a CPU with other programs."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.guest.lines import Tick

#: TSC cycles in a millisecond.
MS = 2_000_000

#: Least part of a period that a turn of the wait loop takes if the guest notes it.
NOTED = 0.02


@dataclass(frozen=True)
class Share:
    """How a host shares its CPU, in milliseconds. Each time varies by half of its length."""

    runs_ms: float
    """Time for which the vCPU runs."""
    waits_ms: float
    """Time for which it then waits; 0 on an idle host."""
    latency_ms: float = 0.02
    """Mean delay of an interrupt while the vCPU runs."""


@dataclass(frozen=True)
class Timer:
    """The timer, and what the guest does at each tick."""

    period_ms: float
    reloads: bool
    """True if it runs by itself; else the guest arms it in the handler."""
    rate: float = 1.0
    """Its true period, in periods."""
    arms_ms: float = 0.01
    """Time from a tick until the handler has armed the timer."""
    prints_ms: float = 1.0
    """Time for which the handler prints. No interrupt is taken meanwhile."""


class _Cpu:
    """The times at which the vCPU runs."""

    def __init__(self, share: Share, rng: random.Random) -> None:
        self._share, self._rng = share, rng
        self.waits: list[tuple[float, float]] = []
        self._end = 0.0

    def _known_until(self, at: float) -> None:
        while self._end <= at:
            draw, share = self._rng.uniform, self._share
            begins = self._end + share.runs_ms * draw(0.5, 1.5)
            self._end = begins + share.waits_ms * draw(0.5, 1.5)
            self.waits.append((begins, self._end))

    def runs_at(self, at: float) -> float:
        """Return the first moment from `at` on at which the vCPU runs."""
        self._known_until(at)
        return next((end for begins, end in self._near(at) if begins <= at < end), at)

    def after(self, at: float, ran: float) -> float:
        """Return the moment at which the vCPU has run for `ran` since `at`."""
        self._known_until(at + ran)
        for begins, end in self._near(at):
            if begins >= at:
                if begins - at >= ran:
                    break
                ran -= begins - at
            at = max(at, end)
            self._known_until(at + ran)
        return at + ran

    def _near(self, at: float) -> Iterator[tuple[float, float]]:
        return (wait for wait in self.waits[-400:] if wait[1] > at)


def ticks(timer: Timer, share: Share, rng: random.Random, number: int) -> list[Tick]:
    """Return successive ticks of a guest that was not stopped between them."""
    cpu, heard = _Cpu(share, rng), list[Tick]()
    period = timer.period_ms * timer.rate
    taken, printed = 0.0, 0.0
    due = cpu.after(0.0, timer.arms_ms) + period
    for sequence in range(1, number + 1):
        came = max(due + rng.expovariate(1 / share.latency_ms), printed)
        came = cpu.runs_at(came)
        waits = [
            (max(begins, printed), end)
            for begins, end in cpu.waits[-400:]
            if end > printed and begins < came
        ]
        long = [each for each in waits if each[1] - each[0] > NOTED * timer.period_ms]
        longest = max((end - begins for begins, end in long), default=0.0)
        heard.append(
            Tick(
                sequence, 900, int(came * MS), int((printed - taken) * MS), sequence,
                stolen=int(sum(end - begins for begins, end in long) * MS),
                longest=int(longest * MS),
                since_last=int((came - long[-1][1]) * MS) if long else 0,
            )
        )  # fmt: skip
        taken, printed = came, cpu.after(came, timer.prints_ms)
        if timer.reloads:
            while due <= taken:  # the IRR has one bit: what fired meanwhile is one tick
                due += period
        else:
            due = cpu.after(taken, timer.arms_ms) + period
    return heard

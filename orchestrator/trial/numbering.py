"""Tells what a tick shows whose number is not the next one.

A guest numbers its ticks, and after a load it goes on from the save's number. It skips the line
of a tick that comes while another line waits to be printed.
"""

import math

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.outcome import Outcome, VcpuResult
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.qmp.errors import MonitorError
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.timers.gap import EXTRA
from orchestrator.trial.guest_clock import cycles_between
from orchestrator.trial.judge import UNIT_CYCLES, Judgement
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Pace
from orchestrator.trial.resume import Resumed
from orchestrator.vm.instance import Instance

#: Fewest bytes of a line. So many unread bytes from before a load may hide a tick.
_LEAST_LINE = 16


class Numbering:
    """Judges the numbers of one vCPU's ticks after a load."""

    def __init__(
        self, instance: Instance, save: VcpuSave, pace: Pace, limits: Limits, resumed: Resumed
    ) -> None:
        """Prepare; arguments as for `Follower`."""
        self._instance = instance
        self._save = save
        self._pace = pace
        self._period_ns = limits.period_ns
        self._resumed = resumed

    async def judge_first(self, first: Arrival) -> Judgement:
        """Return what a first tick shows that is not the one after the save.

        `not-loaded` if the guest's numbers go on from before the load, or from before the save.
        `extra` if more ticks came than the time allows. Else nothing is known.
        """
        number, saved = first.tick.sequence, self._save.ticks
        said = f"the first line after the load was that of tick {number}"
        if not await self._confirmed(number):
            return Judgement(Outcome.UNKNOWN, said)
        if number <= saved:
            why = f"{said}, but the save has tick {saved}: the guest goes on from another state"
            return Judgement(Outcome.NOT_LOADED, why)
        catches_up = self._instance.config.timer.catches_up
        since_ns = self._resumed.load_ns if catches_up else self._resumed.since_ns
        periods = (first.at_ns - since_ns) / self._period_ns
        most = 1 + math.floor(periods / EXTRA) + catches_up
        if number - saved <= most and not self._turned_before_cont(first):
            return Judgement(Outcome.UNKNOWN, said)
        before = self._resumed.heard_before.get(self._save.vcpu)
        unread = self._resumed.stale_bytes // _LEAST_LINE
        if before and 1 <= number - before.tick.sequence <= 1 + unread:
            why = (
                f"{said}, and the last one before it was tick {before.tick.sequence}: the guest "
                f"goes on as if the save, which has tick {saved}, had never been loaded"
            )
            return Judgement(Outcome.NOT_LOADED, why)
        why = (
            f"{said}, though {saved + 1} was due: {number - saved} ticks came in "
            f"{periods:.2f} periods, by the guest's own count"
        )
        return Judgement(Outcome.EXTRA, why)

    def _turned_before_cont(self, first: Arrival) -> bool:
        """Return whether a turn of the wait loop before this tick began before `cont`.

        In a guest that was loaded, the tick after the save ends the turn that the stop cut. That
        turn begins at the save's TSC. If the line of that tick was skipped, the turn is in the
        line of the next one, and under TCG it is as long as the TSC jumped.
        """
        tick, resumed, save = first.tick, self._resumed, self._save
        if not tick.longest or resumed.by_itself:
            return False
        if save.tsc and abs(tick.tsc - tick.since_longest - tick.longest - save.tsc) <= UNIT_CYCLES:
            return False
        ago = (tick.since_longest + tick.longest) / self._pace.cycles_per_period
        return ago > (first.at_ns - resumed.since_ns) / self._period_ns

    async def judge_later(self, before: Arrival, heard: Arrival) -> Judgement:
        """Return what a tick shows whose number is not near that of the tick before it."""
        number, due = heard.tick.sequence, before.tick.sequence + 1
        said = f"a line of tick {number}, where {due} was due"
        periods = cycles_between(before.tick.tsc, heard.tick.tsc) / self._pace.cycles_per_period
        most = 2 + periods / EXTRA
        if self._instance.config.timer.catches_up:  # with the ticks of all the time since the load
            since = (heard.at_ns - self._resumed.load_ns) / self._period_ns
            most = max(most, 2 + since / EXTRA - (before.tick.sequence - self._save.ticks))
        if periods <= 0 or number - due < most or not await self._confirmed(number):
            return Judgement(Outcome.UNKNOWN, said)
        why = f"{number - due + 1} ticks came in {periods:.2f} periods, by the guest's own count"
        return Judgement(Outcome.EXTRA, f"{said}: {why}")

    def judge_stale(self, number: int, for_ns: int) -> Judgement:
        """Return what ticks show that go on after a load with numbers from before it.

        Args:
            number: of the latest of them.
            for_ns: how long they have gone on.
        """
        said = (
            f"ticks from before the load went on for {for_ns / 1e9:g} s after it, up to "
            f"tick {number}"
        )
        before, resumed = self._resumed.heard_before.get(self._save.vcpu), self._resumed
        if before is None:
            return Judgement(Outcome.UNKNOWN, said)
        loaded_ns = resumed.load_ns + resumed.timing.loading * self._period_ns
        periods = (loaded_ns - before.at_ns) / self._period_ns
        most = before.tick.sequence + 2 + periods / EXTRA
        if number <= most:  # the guest may have printed it before the load
            return Judgement(Outcome.UNKNOWN, said)
        why = f"{said}: the guest goes on as if nothing had been loaded"
        return Judgement(Outcome.NOT_LOADED, why)

    async def _confirmed(self, number: int) -> bool:
        """Return whether the guest's memory counts at least so many ticks."""
        try:
            state = await self._instance.guest_state(self._save.vcpu)
        except (MonitorError, OSError, ValueError):
            return False
        return state.ticks >= number


def misnumbered(result: VcpuResult, save: VcpuSave) -> bool:
    """Return whether nothing is known of a trial because of the number of its first tick."""
    if result.outcome is not Outcome.UNKNOWN or not result.heard:
        return False
    return result.heard[0].tick.sequence != save.ticks + 1


async def load_again(instance: Instance, snapshots: Snapshots, save: Save) -> str:
    """Load a save once more into a guest that seems not to run it, and compare its memory.

    Returns:
        What shows that the load changes nothing; an empty text if nothing shows that.

    Raises:
        MonitorError: QEMU did not stop or load, or did not answer.
    """
    if snapshots.new_process:
        return ""
    try:
        await instance.stop()
        before = [await instance.guest_state(vcpu) for vcpu in instance.vcpus]
        await snapshots.load(instance, save.tag)
        after = [await instance.guest_state(vcpu) for vcpu in instance.vcpus]
    except (OSError, ValueError):
        return ""
    if before != after or all(a.ticks == p.ticks for a, p in zip(after, save.vcpus, strict=True)):
        return ""
    return (
        f"another load of {save.tag} changed nothing in the stopped guest's memory: it has tick "
        f"{after[0].ticks} before and after it, where the save has tick {save.first.ticks}"
    )

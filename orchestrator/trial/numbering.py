"""Judges a tick whose number is not the next one.

A guest numbers its ticks, and after a load it goes on from the save's number. It skips the line
of a tick that comes while another line waits to be printed.
"""

import contextlib
import itertools
import math
from collections.abc import Sequence

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.outcome import Outcome, VcpuResult
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.host.tracefs import MARK_CONT, MARK_LOAD
from orchestrator.qmp.errors import MonitorClosedError, MonitorError
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.timers.gap import EXTRA
from orchestrator.trial.guest_clock import cycles_between
from orchestrator.trial.judge import UNIT_CYCLES, Judgement
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Pace
from orchestrator.trial.resume import Resumed, continue_guest, mark
from orchestrator.vm.instance import Instance

#: How far the pace may be off: the guest measures it in a few milliseconds where QEMU does not
#: tell the TSC's frequency.
_PACE_ERROR = 0.01

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

        `not-loaded` if the guest's numbers go on from before the load, and a long turn, or the
        time since the load where no turn tells, rules out that a loaded guest got so far; and if
        they are not beyond the save's. `extra` if more ticks came than the time allows. Else
        nothing is known.
        """
        number, saved = first.tick.sequence, self._save.ticks
        said = f"the first line after the load was that of tick {number}"
        if not await self._confirmed(number):
            return Judgement(Outcome.UNKNOWN, said)
        if number <= saved:
            why = f"{said}, but the save has tick {saved}: the guest goes on from another state"
            return Judgement(Outcome.NOT_LOADED, why)
        before = self._goes_on_from(first)
        if before:
            said += f", and the last one before it was tick {before.tick.sequence}"
        too_many, turned = self._too_many(first), self._turned_before_cont(first)
        if before and (turned or (turned is None and too_many)):
            why = (
                f"{said}: the guest goes on as if the save, which has tick {saved}, had never "
                "been loaded"
            )
            return Judgement(Outcome.NOT_LOADED, why)
        if not too_many:
            return Judgement(Outcome.UNKNOWN, said)
        periods = (first.at_ns - self._since_ns) / self._period_ns
        why = (
            f"{said}, though {saved + 1} was due: {number - saved} ticks came in "
            f"{periods:.2f} periods, by the guest's own count"
        )
        return Judgement(Outcome.EXTRA, why)

    @property
    def _one_may_wait(self) -> bool:
        """Whether a tick of a loaded guest may wait for `cont`, and the next one be due soon.

        A timer that reloads runs on from the load.
        """
        return bool(self._instance.config.timer.reloads or self._save.irr or self._save.isr)

    @property
    def _since_ns(self) -> int:
        """Earliest moment from which a loaded guest's ticks can have become due."""
        return self._resumed.load_ns if self._one_may_wait else self._resumed.since_ns

    def _too_many(self, heard: Arrival) -> bool:
        """Return whether a loaded guest cannot have ticked so often since the load."""
        periods = (heard.at_ns - self._since_ns) / self._period_ns
        most = 1 + math.floor(periods / EXTRA) + self._one_may_wait
        return heard.tick.sequence - self._save.ticks > most

    def _goes_on_from(self, first: Arrival) -> Arrival | None:
        """Return the last tick before the load, if the first one after it may be the next.

        Lines between the two may have been discarded unread.
        """
        before = self._resumed.heard_before.get(self._save.vcpu)
        unread = self._resumed.stale_bytes // _LEAST_LINE
        if before and 1 <= first.tick.sequence - before.tick.sequence <= 1 + unread:
            return before
        return None

    def _turned_before_cont(self, first: Arrival) -> bool | None:
        """Return whether a turn of the wait loop before this tick began before `cont`.

        Return None if the tick tells of no turn, or losttick did not stop its guest.

        In a guest that was loaded, the tick after the save ends the turn that the stop cut. That
        turn begins at the save's TSC. If the line of that tick was skipped, the turn is in the
        line of the next one, and under TCG it is as long as the TSC jumped.

        The turn that the stop cut in a guest that was not loaded began before the load. The pace
        tells how long ago a turn began, but not exactly. So the turn must have begun nearer to the
        load's beginning than to `cont`, even if the pace is off by `_PACE_ERROR`.
        """
        tick, resumed, save = first.tick, self._resumed, self._save
        if not tick.longest or not save.tsc or resumed.lines_may_be_stale:
            return None
        ended = cycles_between(save.tsc, tick.tsc - tick.since_longest)
        if ended <= UNIT_CYCLES:  # the turn is in the save
            return False
        if abs(ended - tick.longest) <= UNIT_CYCLES:
            return False
        ago = (tick.since_longest + tick.longest) / self._pace.cycles_per_period
        between_ns = (resumed.load_ns + resumed.since_ns) / 2
        return ago * (1 - _PACE_ERROR) > (first.at_ns - between_ns) / self._period_ns

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

    async def judge_stale(self, stale: Sequence[Arrival], for_ns: int) -> Judgement:
        """Return what ticks show that go on after a load with numbers from before it.

        A loaded guest can go on with such numbers as well, if the lines of just so many ticks
        were skipped. So the guest was not loaded if its time was too short for that, wherever
        among these ticks the load came. Else nothing is known.

        Args:
            stale: the ticks.
            for_ns: how long they have gone on.
        """
        number = stale[-1].tick.sequence
        said = (
            f"ticks from before the load went on for {for_ns / 1e9:g} s after it, up to "
            f"tick {number}"
        )
        before, resumed = self._goes_on_from(stale[0]), self._resumed
        gaps = (b.tick.sequence - a.tick.sequence for a, b in itertools.pairwise(stale))
        if before is None or any(gap != 1 for gap in gaps):
            return Judgement(Outcome.UNKNOWN, said)
        loaded_ns = resumed.load_ns + resumed.timing.loading * self._period_ns
        periods = (loaded_ns - before.at_ns) / self._period_ns
        most = before.tick.sequence + 2 + periods / EXTRA  # it may have printed before the load
        first_ones = [each for each in stale if each.tick.sequence <= most + 1]
        if number <= most or not all(self._too_many(each) for each in first_ones):
            return Judgement(Outcome.UNKNOWN, said)
        if not await self._confirmed(number):
            return Judgement(Outcome.UNKNOWN, said)
        why = f"{said}: the guest goes on as if nothing had been loaded"
        return Judgement(Outcome.NOT_LOADED, why)

    async def _confirmed(self, number: int) -> bool:
        """Return whether the guest's memory counts at least so many ticks."""
        state = await self._instance.known_state(self._save.vcpu)
        return state is not None and state.ticks >= number


def misnumbered(result: VcpuResult, save: VcpuSave) -> bool:
    """Return whether a load without effect could explain the number of a trial's first tick."""
    if result.outcome not in (Outcome.UNKNOWN, Outcome.EXTRA) or not result.heard:
        return False
    return result.heard[0].tick.sequence != save.ticks + 1


async def load_again(instance: Instance, snapshots: Snapshots, save: Save) -> str:
    """Load a save once more into a guest that seems not to run it, and compare its memory.

    The guest runs on afterwards.

    Returns:
        What shows that the load changes nothing; an empty text if nothing shows that.

    Raises:
        MonitorClosedError: QEMU has ended.
    """
    if snapshots.new_process:
        return ""
    try:
        shown = await _compare(instance, snapshots, save)
    except MonitorClosedError:
        raise
    except MonitorError:
        shown = ""
    with contextlib.suppress(MonitorError, OSError):
        await continue_guest(instance)
    return shown


async def _compare(instance: Instance, snapshots: Snapshots, save: Save) -> str:
    await instance.stop()
    before = [await instance.known_state(vcpu) for vcpu in instance.vcpus]
    mark(instance, MARK_LOAD)
    await snapshots.load(instance, save.tag)
    after = [await instance.known_state(vcpu) for vcpu in instance.vcpus]
    mark(instance, MARK_CONT)
    known = [state for state in after if state is not None]
    if before != after or len(known) < len(after):
        return ""
    if all(now.ticks == then.ticks for now, then in zip(known, save.vcpus, strict=True)):
        return ""
    return (
        f"another load of {save.tag} changed nothing in the stopped guest's memory: it has tick "
        f"{known[0].ticks} before and after it, where the save has tick {save.first.ticks}"
    )

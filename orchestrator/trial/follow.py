"""Follows the ticks of one vCPU after a load, and says what they show."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.outcome import Outcome, VcpuResult
from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lines import Tick
from orchestrator.timers.gap import RATE_TICKS
from orchestrator.trial.asides import Asides
from orchestrator.trial.asides import said as said_nmis
from orchestrator.trial.judge import Judge, Judgement
from orchestrator.trial.limits import Limits
from orchestrator.trial.numbering import Numbering
from orchestrator.trial.pace import Pace
from orchestrator.trial.quiet_gaps import quiet_gaps, show_the_period
from orchestrator.trial.reset import RESET, counts_anew, judge_reset
from orchestrator.trial.resume import Resumed
from orchestrator.trial.tsc_offset import moved_by_load
from orchestrator.trial.watch import Heard, Quiet, Silence, Watch
from orchestrator.vm.instance import Instance

#: A line whose sequence number is further ahead than this is not believed.
MOST_LINES_AHEAD = 4

#: Outcomes that the number of a tick shows by itself.
NUMBERED = frozenset({Outcome.EXTRA, Outcome.NOT_LOADED})

#: How long ticks from before a load into a running guest may go on arriving.
STALE_NS = 1_000_000_000

#: Ticks that are followed after a load unless the caller asks for more: the first one, and
#: the one that its re-arm brought.
LEAST_TICKS = 2


class Follower:
    """Follows one vCPU after a load, for a number of ticks."""

    def __init__(
        self,
        instance: Instance,
        save: VcpuSave,
        pace: Pace,
        limits: Limits,
        *,
        resumed: Resumed,
        due: Mapping[Outcome, tuple[float, float]] | None = None,
        ticks: int = LEAST_TICKS,
    ) -> None:
        """Prepare.

        Args:
            instance: has loaded the save and resumed.
            save: the vCPU's state in the save.
            pace: the vCPU's pace.
            limits: limits of silence for the guest's period.
            resumed: when the instance resumed.
            due: when the first tick is due, by class; by default as the timer says of a load.
            ticks: how many ticks to follow, at least two. A few more are followed after
                one that came at a wrong time.
        """
        self._instance = instance
        self._save = save
        self._pace = pace
        self._limits = limits
        self._resumed = resumed
        self._due = due
        self._ticks = ticks
        self._watch = Watch(instance, limits, save.vcpu)
        self._numbering = Numbering(instance, save, pace, limits, resumed)
        self._asides = Asides(instance, save, resumed)
        self._heard: list[Arrival] = []
        self._silent = False
        """True once the vCPU was silent while QEMU answered."""

    async def run(self) -> VcpuResult:
        """Follow the vCPU, and return what its ticks show."""
        judge = Judge(
            self._instance, self._save, self._pace, self._limits, self._resumed, self._due
        )
        found = await self._follow(judge)
        for before, heard in itertools.pairwise(self._heard):
            self._pace.observe(before.tick, heard.tick)
        self._pace.last = self._heard[-1] if self._heard else None
        ticks = [each.tick for each in self._heard]
        shown = show_the_period(self._instance.config)
        found = self._with_nmis(found)
        return VcpuResult(
            gaps=quiet_gaps(ticks, self._pace, self._instance.config) if shown else (),
            outcome=found.outcome,
            first_tick=judge.first,
            missing_periods=found.missing_periods,
            why=found.why,
            ticks_after_load=found.ticks_before,
            vcpu=self._save.vcpu,
            late_periods=judge.late if self._heard else 0.0,
            stolen_periods=judge.stolen,
            heard=tuple(self._heard),
            ahead=found.ahead,
            nmis=self._asides.nmis,
        )

    def _with_nmis(self, found: Judgement) -> Judgement:
        """Return what was found, with the NMIs that nobody had sent."""
        what = said_nmis(self._asides.nmis)
        if what and found.outcome.ticked:
            return replace(found, outcome=Outcome.EXTRA, why=f"ticks went on, but {what}")
        return replace(found, why=f"{found.why}; {what}") if what else found

    async def _follow(self, judge: Judge) -> Judgement:
        ticks = self._ticks
        while len(self._heard) < ticks:
            count, suspected = len(self._heard), judge.suspects
            quiet = await self._await_tick()
            if quiet and quiet.outcome is Outcome.UNKNOWN and judge.sure and self._loaded:
                found = await judge.decide()
                if not found.outcome.ticked:
                    return found
            if quiet and quiet.outcome is not Outcome.CRASHED and await self._begins_anew():
                why = f"{RESET}: after the load it said that it begins, then: {quiet.why}"
                return Judgement(Outcome.CRASHED, why, ticks_before=count)
            if quiet and quiet.outcome in NUMBERED:
                return replace(quiet, ticks_before=count)
            if quiet:
                came = "one tick came" if count == 1 else f"{count} ticks came"
                why = f"{came} after the load, then: {quiet.why}" if count else quiet.why
                return Judgement(quiet.outcome, why, ticks_before=count)
            # To read the trace takes time: it is read where more ticks are followed in any case.
            if not count and self._due is None and self._ticks > LEAST_TICKS:
                judge.note_tsc(await moved_by_load(self._instance, self._save.vcpu))
            judge.hear(self._heard[-1], after_silence=self._silent)
            if judge.suspects and not suspected:
                ticks = max(ticks, len(self._heard) + RATE_TICKS)
        if not self._loaded:
            found = await self._numbering.judge_first(self._heard[0])
            return replace(found, ticks_before=len(self._heard))
        return await judge.decide()

    async def _begins_anew(self) -> bool:
        """Return whether the vCPU said so after the load, and its memory counts anew."""
        said, vcpu = self._asides.began_anew, self._save.vcpu
        return said and await counts_anew(self._instance, vcpu, 1, self._last)

    @property
    def _loaded(self) -> bool:
        """Whether the first tick that was heard is the one after the save."""
        return self._heard[0].tick.sequence == self._save.ticks + 1

    async def _await_tick(self) -> Judgement | None:
        """Wait for the next tick; return what shows that no plain one came.

        A silent vCPU is left alone for a while: it may tick unaided.
        """
        heard = await self._next_tick()
        if isinstance(heard, Silence):
            silent, self._silent = heard, True
            heard = await self._listen(untouched=silent)
            if isinstance(heard, Silence):
                total_ms = (silent.vcpu_ns + heard.vcpu_ns) / 1e6
                return Judgement(Outcome.LOST, f"no tick in {total_ms:.0f} ms of {silent.clock}")
            if not isinstance(heard, Heard):
                return Judgement(heard.outcome, f"{silent.why}, then: {heard.why}")
        if not isinstance(heard, Heard):
            return Judgement(heard.outcome, heard.why)
        tick, after = Arrival(heard.line, heard.at_ns), self._last
        if not after < heard.line.sequence <= after + MOST_LINES_AHEAD:
            said, vcpu = self._asides.begins, self._save.vcpu
            reset = await judge_reset(self._instance, vcpu, tick, after, said=said)
            if reset:
                return reset
            if self._heard:
                return await self._numbering.judge_later(self._heard[-1], tick)
            self._heard.append(tick)
            return await self._numbering.judge_first(tick)
        self._heard.append(tick)
        self._asides.note_tick()
        return None

    @property
    def _last(self) -> int:
        """Sequence number of the last tick."""
        return self._heard[-1].tick.sequence if self._heard else self._save.ticks

    async def _next_tick(self) -> Heard[Tick] | Quiet | Judgement:
        """Wait for a tick that is not from before the load.

        After a load into a running guest, ticks from before may come first. Their numbers
        are beyond that of the next tick, and beyond those that were heard before.
        """
        until_ns = self._instance.clock.now_ns() + STALE_NS
        stale: list[Arrival] = []
        heard = await self._listen()
        while isinstance(heard, Heard) and self._may_be_stale(heard.line, stale):
            stale.append(Arrival(heard.line, heard.at_ns))
            if heard.at_ns > until_ns:
                self._heard.append(stale[0])
                return await self._numbering.judge_stale(stale, STALE_NS)
            heard = await self._listen()
        return heard

    async def _listen(self, untouched: Silence | None = None) -> Heard[Tick] | Quiet:
        """Wait for the next tick, and note the lines before it.

        Args:
            untouched: a silence, to leave the vCPU alone after it.
        """
        if untouched:
            heard = await self._watch.tick(self._limits.untouched_ns, since=untouched.until)
        else:
            heard = await self._watch.tick(self._limits.silence_ns, confirm=True)
        self._asides.note(self._watch.others, self._last, ticked=bool(self._heard))
        self._watch.others.clear()
        return heard

    def _may_be_stale(self, tick: Tick, stale: Sequence[Arrival]) -> bool:
        """Return whether a tick may be from before the load.

        A number that was reached before the tick shows that the load took effect.
        """
        if not self._resumed.lines_may_be_stale or self._heard:
            return False
        before = stale[-1] if stale else self._resumed.heard_before.get(self._save.vcpu)
        return tick.sequence > max(self._last + 1, before.tick.sequence if before else 0)


async def follow_all(followers: Iterable[Follower]) -> list[VcpuResult]:
    """Follow vCPUs one after another: the console keeps the lines of those that wait.

    Following ends early with a vCPU of which nothing is known, or whose guest crashed.
    """
    results: list[VcpuResult] = []
    for follower in followers:
        results.append(await follower.run())
        if results[-1].outcome in (Outcome.UNKNOWN, Outcome.CRASHED):
            break
    return results

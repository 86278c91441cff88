"""Judges the ticks after a load by the guest's running time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.outcome import GRAVITY, FirstTick, Outcome
from orchestrator.findings.outcome import LATE as NOISE
from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lines import Tick
from orchestrator.guest.wait import Wait
from orchestrator.timers.first_tick import (
    TOLERANCE,
    ResumeTiming,
    Span,
    classify,
    in_words,
    late_in_class,
    missing_at_first,
    past_a_class,
    past_due,
)
from orchestrator.timers.gap import (
    DELIVERY_NS,
    LATE,
    LATE_NS,
    Gap,
    judge,
    lag,
    missing,
)
from orchestrator.trial.clock_judge import ClockJudge
from orchestrator.trial.deadline import EARLY, past_deadline, until_deadline
from orchestrator.trial.early import early_or_late, sooner
from orchestrator.trial.guest_clock import cycles_between
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Pace
from orchestrator.trial.qemu_waits import counts_waits, explain, waited
from orchestrator.trial.resume import Resumed
from orchestrator.trial.wrong_rate import wrong_rate
from orchestrator.vm.config import Accel
from orchestrator.vm.instance import Instance

#: TSC cycles by which two readings of one moment may differ: up to three numbers were rounded
#: to units of the guest.
UNIT_CYCLES = 3 * 1024


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome that the ticks of a vCPU show."""

    outcome: Outcome
    why: str = ""
    missing_periods: int = 0
    ticks_before: int = 0
    """Ticks that came before the one that shows it."""
    ahead: bool = False
    """Whether a clock of the guest was ahead of the host's."""


class Judge:
    """Judges the ticks of one vCPU after a load, in their order."""

    def __init__(
        self,
        instance: Instance,
        save: VcpuSave,
        pace: Pace,
        limits: Limits,
        resumed: Resumed,
        due: Mapping[Outcome, tuple[float, float]] | None = None,
    ) -> None:
        """Prepare; arguments as for `Follower`."""
        self._instance = instance
        self._timer = instance.config.timer
        self._save = save
        self._pace = pace
        self._period_ns = limits.period_ns
        self._at_once = DELIVERY_NS / limits.period_ns
        self._slack = max(LATE - 1, LATE_NS / limits.period_ns)
        if instance.config.program.kernel_tick_ns:
            # It counts interrupts, and skips those that a wait of the vCPU delayed: a tick is due
            # by so much later, however long the vCPU has run before it.
            self._at_once = math.inf
        self._silence_periods = limits.silence_ns / limits.period_ns
        self._resumed = resumed
        self._due = due
        self._sleeps = instance.config.guest.wait is Wait.HALT
        # A guest that sleeps has no turns, and one that does not note them has no TSC either.
        self._notes_turns = bool(save.tsc) and not self._sleeps
        self._clocks = ClockJudge(
            pace, save, resumed, limits.period_ns, sham=due is not None,
            runs_ahead=instance.config.accel is Accel.TCG,
        )  # fmt: skip
        self._span = Span(0.0, 0.0)
        self._past_a_class = 0.0
        self._first_late = 0.0
        self._between_classes = False
        self._silent = False
        self._too_soon: list[float] = []
        self._gaps: list[Gap] = []
        self._heard: list[Arrival] = []
        self._found: list[Judgement] = []
        self.first: FirstTick | None = None
        """When the first tick came."""
        self.late = float("-inf")
        """Running time past due of the latest tick, in periods."""
        self.stolen = 0.0
        """Time before that tick in which the vCPU did not run, in periods."""

    @property
    def suspects(self) -> bool:
        """Whether a tick came at a wrong time, so that further ticks may tell why."""
        return any(not each.outcome.ticked for each in self._found)

    @property
    def sure(self) -> bool:
        """Whether a tick showed a fault that no busy host brings about."""
        return any(not each.outcome.ticked and each.outcome not in NOISE for each in self._found)

    def note_tsc(self, moved: int | None) -> None:
        """Note by how many cycles the load moved the TSC's offset; None if nothing tells."""
        self._clocks.tsc_moved = moved

    def hear(self, heard: Arrival, *, after_silence: bool = False) -> None:
        """Judge one more tick; `after_silence` says that QEMU had answered in a silence."""
        self._heard.append(heard)
        self._silent |= after_silence
        self._found.append(self._judge_gap() if len(self._heard) > 1 else self._judge_first())
        jumped = self._clocks.hear(heard)
        if jumped:
            self._found.append(Judgement(Outcome.CLOCK, jumped, ahead=self._clocks.ahead))

    async def decide(self) -> Judgement:
        """Return what all ticks show: the gravest finding, or the class of the first tick."""
        rate = await self._wrong_rate()
        if rate:
            self._found.append(rate)
        behind_ns = self._past_a_class * self._period_ns
        if self._between_classes and await waited(self._instance, behind_ns):
            self._found[0] = Judgement(Outcome.INDISTINCT)
        bad = [each for each in self._found if not each.outcome.ticked]
        if not bad:
            return replace(self._found[0], ticks_before=len(self._heard))
        worst = min(bad, key=lambda each: GRAVITY.index(each.outcome))
        if worst.outcome is not Outcome.RECOVERED:
            worst = replace(worst, ticks_before=len(self._heard))
        held_up = await self._held_up_by_qemu(worst)
        return held_up or worst

    # --- the first tick ---

    def _judge_first(self) -> Judgement:
        first, save = self._heard[0], self._save
        wall = (first.at_ns - self._resumed.since_ns) / self._period_ns
        wall_periods = max(0.0, wall - self._pace.printing_periods)
        if self._notes_turns and save.tsc < first.tick.tsc:
            self._span = self._span_by_tsc(first, wall)
        elif self._sleeps:
            # It resumed at some moment until QEMU answered: a new QEMU takes long to start.
            answering = self._resumed.timing.answering
            self._span = Span(max(0.0, wall_periods - answering), wall_periods)
        else:
            spun = (first.tick.progress - save.progress) / self._pace.progress_per_period
            self._span = Span(spun, max(spun, wall_periods))
        span = self._span
        self.first = FirstTick(span.low, wall_periods, wall * self._period_ns / 1e6)
        past = None if self._due else past_deadline(self._instance, save, first.tick, self._pace)
        timing = replace(self._timing(first, wall), until_deadline=until_deadline(past, span))
        due = self._due or self._timer.due(save.phase, timing, save.hold_left)
        outcome, late = classify(span, due, timing), past_due(span, due)
        self._past_a_class = past_a_class(span, due)
        self._first_late = late_in_class(span, due) + self._at_once
        if outcome is Outcome.LATE and late <= self._slack:
            outcome = Outcome.INDISTINCT
        if outcome is Outcome.EARLY:
            later = wall if self._sleeps else span.high
            if self._sleeps and self._instance.config.program.kernel_tick_ns:
                later = math.inf  # it ticks by its kernel's clock, which may go on over a load
            later += sooner(self._pace, save, timing, self._period_ns)
            unseen = counts_waits(self._instance)
            outcome = early_or_late(span, due, timing, later=later, waits_unseen=unseen)
        # A hold ends when the vCPU has run for so long, however long the load took.
        if self._due is None and span.high < save.hold_left - TOLERANCE:
            outcome = Outcome.EARLY
        if past is not None and past < -EARLY:
            outcome = Outcome.EARLY
        if outcome is Outcome.LATE and late <= 0:
            self._between_classes, late = True, self._past_a_class
        self._note(late, span.high - span.low)
        if outcome.ticked:
            return Judgement(outcome)
        missed = missing_at_first(span, due) if outcome is Outcome.MISSED else 0
        return self._judgement(outcome, in_words(span, due), span.low, missed)

    def _span_by_tsc(self, first: Arrival, wall: float) -> Span:
        """Return when the first tick came, from the turns of the guest's wait loop.

        The guest resumed at the end of the turn in which it was saved.
        """
        tick, save, period = first.tick, self._save, self._pace.cycles_per_period
        since_save = cycles_between(save.tsc, tick.tsc)
        low = max(0.0, (since_save - max(0, tick.stolen - save.stolen)) / period)
        if abs(tick.progress - save.progress) <= 1:
            return Span(0.0, 0.0)  # it did not run a turn: the tick was there when it resumed
        began = tick.tsc - tick.since_longest - tick.longest
        if tick.longest and abs(began - save.tsc) <= UNIT_CYCLES:
            high = tick.since_longest / period
            if self._ran_last(tick, since_save) > self._at_once:
                low = high  # it came when it was due: the vCPU had run for a while
        else:
            high = since_save / period
            low = max(low, self._ran_last(tick, since_save))
        return Span(low, max(low, min(high, wall)))

    def _timing(self, first: Arrival, wall: float) -> ResumeTiming:
        """Return when the guest resumed, by its own TSC where it tells."""
        printed = self._pace.print_cycles / self._pace.cycles_per_period
        until_tick = (first.at_ns - self._resumed.load_ns) / self._period_ns - printed
        timing = replace(self._resumed.timing, until_tick=until_tick)
        if not self._notes_turns:
            return timing
        due = self._due or self._timer.due(self._save.phase, timing)
        if self._span.high == 0 and Outcome.IMMEDIATE in due:
            return timing  # it came at once, however long the vCPU had waited for a CPU
        until = max(0.0, wall - printed - self._span.high)
        return replace(timing, answering=max(timing.answering, until))

    # --- further ticks ---

    def _judge_gap(self) -> Judgement:
        before, heard = self._heard[-2:]
        gap = replace(self._gap(before, heard), usual=self._usual_gap)
        self._gaps.append(gap)
        self._note(gap.late, gap.stolen)
        outcome = judge(gap)
        if outcome is Outcome.EXTRA:
            self._too_soon.append(gap.ticks - gap.periods)
        if outcome is None:
            return Judgement(Outcome.INDISTINCT)
        return self._judgement(
            outcome,
            f"tick {heard.tick.sequence} came {gap.periods:.2f} periods after tick "
            f"{before.tick.sequence} by the guest's TSC, and {gap.running:.2f} in its running "
            f"time (the vCPU did not run for {gap.stolen:.2f} periods, and ran without a break "
            f"for the last {gap.ran_last:.2f})",
            gap.running, missing(gap.late) if outcome is Outcome.MISSED else 0,
        )  # fmt: skip

    @property
    def _usual_gap(self) -> float:
        """Time between two ticks, in periods: more than 1 for a guest that holds its ticks back."""
        printing = self._pace.print_cycles / self._pace.cycles_per_period
        return self._timer.gap_periods(printing + self._save.hold)

    def _gap(self, before: Arrival, heard: Arrival) -> Gap:
        tick, pace = heard.tick, self._pace
        ticks = tick.sequence - before.tick.sequence
        periods = cycles_between(before.tick.tsc, tick.tsc) / pace.cycles_per_period
        held_back = 0.0
        if self._timer.reloads:
            stolen = self._gaps[-1].stolen if self._gaps else 0.0
            held_back = max(stolen, lag(self._gaps, self._first_late))
            if len(self._heard) == 2:
                span = self._span  # a tick that was there at the resume fired any time before
                held_back = max(span.high - span.low, self._past_a_class) + self._at_once
                held_back = held_back if span.low > TOLERANCE else 1.0
            if self._timer.catches_up:
                behind = self._gaps[-1].behind if self._gaps else self._first_behind(before)
                held_back = max(held_back, behind)
            if self._save.hold:
                held_back = max(held_back, 1.0)  # the guest may have held back the first tick
        if self._notes_turns:
            stolen = min(pace.stolen_cycles(tick) / pace.cycles_per_period, periods)
            ran_last = self._ran_last(tick, cycles_between(before.tick.tsc, tick.tsc))
            held_up = stolen - tick.stolen / pace.cycles_per_period
            return Gap(
                periods, stolen, held_back, self._slack, ticks,
                ran_last=ran_last, at_once=self._at_once, held_up=held_up,
            )  # fmt: skip
        # A guest that does not note its turns: progress and host time must both say it.
        spun = periods
        if not self._sleeps:
            spun = tick.progress / pace.progress_per_period + pace.printing_periods
        running = min(spun, (heard.at_ns - before.at_ns) / self._period_ns)
        periods = periods if pace.known_cycles else max(ticks, running)
        return Gap(periods, max(0.0, periods - running), held_back, self._slack, ticks)

    def _first_behind(self, first: Arrival) -> float:
        """Return how far the first tick may be behind a timer that catches up, in periods.

        Such a timer goes on while its VM is stopped. A load starts a period, and a sham does not.
        """
        since = (first.at_ns - self._resumed.load_ns) / self._period_ns
        return since if self._due else since - 1

    async def _wrong_rate(self) -> Judgement | None:
        """Return the finding of a wrong period, if the ticks from a wrong one on agree on it."""
        wrong = [n for n, gap in enumerate(self._gaps) if judge(gap)]
        if not wrong:
            return None
        if not self._found[0].outcome.ticked:
            wrong[0] = 0  # the first tick came at a wrong time already
        gaps = self._gaps[wrong[0] :]
        said = await wrong_rate(self._instance, self._save, gaps, self._period_ns)
        if not said:
            return None
        before = wrong[0] + 1
        return Judgement(
            Outcome.RATE,
            f"from tick {self._heard[before].tick.sequence} on, {said}",
            ticks_before=before,
        )

    # --- what both have in common ---

    def _ran_last(self, tick: Tick, cycles: int) -> float:
        """Return for how long the vCPU ran without a break before a tick, in periods.

        Args:
            tick: the tick.
            cycles: TSC cycles since the tick before, or since the save.
        """
        if self._instance.config.timer_is_qemus or self._save.hold:
            return 0.0  # QEMU may have fired the timer late, or the guest held the tick back
        ran = tick.since_last if tick.longest else max(0, cycles - tick.print_cycles)
        return min(ran, cycles) / self._pace.cycles_per_period

    def _note(self, late: float, stolen: float) -> None:
        if late > self.late:
            self.late, self.stolen = late, stolen

    def _judgement(self, outcome: Outcome, why: str, ran: float, missed: int) -> Judgement:
        """Return a finding about a tick for which the guest ran for `ran` periods."""
        # A vCPU that sleeps may have waited for a CPU for as long, if no silence was proven.
        if ran >= self._silence_periods and (self._silent or not self._sleeps):
            outcome, missed = Outcome.RECOVERED, 0
            why = f"no tick came while the guest ran for {ran:.1f} periods, then it ticked: {why}"
        if missed:
            why = f"{missed} period(s) passed without their tick: {why}"
        return Judgement(outcome, why, missed, len(self._heard) - 1)

    async def _held_up_by_qemu(self, found: Judgement) -> Judgement | None:
        """Return another finding if QEMU, whose LAPIC it is, had to wait for a CPU itself."""
        why = await explain(
            self._instance, found.outcome, self.late, self._silent, self._too_soon, self._period_ns
        )
        return Judgement(Outcome.INDISTINCT, why, ticks_before=len(self._heard)) if why else None

"""Judges the clocks of a vCPU after a load: restored to the save, gone on, or jumped."""

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lines import Tick
from orchestrator.trial.guest_clock import TOLERANCE_NS, GuestClock, Reading, cycles_between
from orchestrator.trial.look import INTERRUPTS_OFF
from orchestrator.trial.pace import Pace
from orchestrator.trial.resume import Resumed
from orchestrator.trial.tsc_answers import Answer

#: How far a clock may seem to be behind the save in nanoseconds: the guest counts in units.
BEHIND_SAVE_NS = 1_000_000

#: Name of the clock whose offset the kernel's trace shows.
TSC = "TSC"


class ClockJudge:
    """Judges the clocks of one vCPU by the ticks after a load, in their order."""

    def __init__(
        self, pace: Pace, save: VcpuSave, resumed: Resumed, period_ns: int,
        *, sham: bool, runs_ahead: bool,
    ) -> None:  # fmt: skip
        """Prepare.

        Args:
            pace: the vCPU's pace, with its clocks.
            save: the vCPU's state in the save.
            resumed: when the instance resumed.
            period_ns: the timer's period.
            sham: whether the guest was only stopped, and nothing was loaded.
            runs_ahead: whether the TSC may be far ahead after a load. TCG never lets it go back.
        """
        self._pace = pace
        self._clocks = pace.clocks
        self._save = save
        self._resumed = resumed
        self._period_ns = period_ns
        self._sham = sham
        self._runs_ahead = runs_ahead
        self._heard: list[Arrival] = []
        self._read_before = INTERRUPTS_OFF in save.ineligible
        """Whether the vCPU had read the TSC of its next tick before the save."""
        self.tsc_moved: int | None = None
        """Cycles by which the load moved the TSC's offset, by the kernel's trace; None if nothing
        tells. Without it, a TSC may be restored to the save or go on."""
        self.ahead = False
        """Whether a clock was found ahead of the host's, as it is if the host's stood still."""
        self._against_the_trace = ""
        self._against_others = ""
        self._first: dict[str, int] = {}
        """The first reading of each clock after the load, by the clock's name."""

    @property
    def _rate(self) -> float:
        """TSC cycles in a nanosecond."""
        return self._pace.cycles_per_ns(self._period_ns)

    def hear(self, heard: Arrival) -> str:
        """Judge one more tick. Return how a clock jumped before it; an empty text if none did."""
        if self._read_before:
            self._read_before = False
            return ""
        before = self._heard[-1] if self._heard else None
        self._heard.append(heard)
        if not self._save.tsc:
            return ""
        tick, clocks, save = heard.tick, self._clocks, self._save
        if not before:
            clocks.said = None
        clocks.note(tick)
        if before:
            found = self._jump_ahead(TSC, clocks.tsc, tick.tsc, before, self._rate)
        else:
            jumped = self._jump_at_load(TSC, clocks.tsc, tick.tsc, save.tsc, 0.0, self._rate)
            found = jumped or self._against_the_trace or self._against_others
        if tick.kvmclock_ns and save.kvmclock_ns:
            clock, now_ns = clocks.kvmclock, tick.kvmclock_ns
            if before:
                jumped = self._jump_ahead("kvmclock", clock, now_ns, before)
            else:
                since_ns = save.phase * self._period_ns
                jumped = self._jump_at_load("kvmclock", clock, now_ns, save.kvmclock_ns, since_ns)
            found = found or jumped
        elif not before:
            found = found or self._not_told(tick)
        return found or self._apart(tick, first=before is None)

    def _not_told(self, tick: Tick) -> str:
        """Judge a first tick whose line has no kvmclock, which KVM changes before a guest resumes.

        The line before may have been missed.
        """
        if not (self._save.kvmclock_ns and self._clocks.says_when_resumed):
            return ""
        if tick.sequence != self._save.ticks + 1:
            return ""
        return (
            "KVM did not tell the guest its kvmclock after the load, as it does whenever the guest "
            "goes on"
        )

    def _jump_at_load(
        self, name: str, clock: GuestClock, value: int, saved: int, since_ns: float, rate: float = 1
    ) -> str:
        """Judge the first reading of a clock after a load.

        Args:
            name: the clock's name.
            clock: the clock in the host's time.
            value: the reading.
            saved: the last reading before the save.
            since_ns: time from that reading to the end of the last turn before the save.
            rate: how far the clock goes on in a nanosecond.
        """
        resumed, at_ns = self._resumed, self._heard[-1].at_ns
        advanced_ns = cycles_between(saved, value) / rate
        passed_ns = (
            at_ns - resumed.load_ns + resumed.stopped_ns + since_ns + self._save.since_turn_ns
        )
        restored = -BEHIND_SAVE_NS <= advanced_ns <= passed_ns + TOLERANCE_NS
        reading = Reading(value, at_ns)
        off_ns = clock.off_ns(reading, resumed.load_ns, rate)
        if name == TSC:
            self._against_the_trace = self._contradiction(restored=restored, off_ns=off_ns)
        if self._runs_ahead and advanced_ns >= 0:
            restored = True
        if name == TSC and clock.tied and not self._sham:
            self._against_others = self._other_answer(restored=restored, off_ns=off_ns)
        if off_ns or not clock.tied:
            clock.restart(anchor=Reading(value, resumed.load_ns))
        clock.hear(reading)
        self._first[name] = value
        if advanced_ns < -BEHIND_SAVE_NS:
            return (
                f"the guest's {name} went back at the load: at the first tick it was "
                f"{-advanced_ns / 1e6:.0f} ms behind the save"
            )
        if restored or not off_ns:
            return ""
        self.ahead = off_ns > 0
        return (
            f"the guest's {name} jumped at the load: at the first tick it was "
            f"{advanced_ns / 1e6:.0f} ms past the save, where at most {passed_ns / 1e6:.0f} ms had "
            f"passed if the load restored it, and {off_ns / 1e6:+.0f} ms off the host's clock if "
            "it went on"
        )

    def _contradiction(self, *, restored: bool, off_ns: float) -> str:
        """Return how the first reading contradicts the kernel's trace; empty if it does not.

        Args:
            restored: whether the TSC can have been restored to the save.
            off_ns: how far it is off the host's clock; 0 if it can have gone on.
        """
        if self.tsc_moved is None:
            return ""
        moved_ns = self.tsc_moved / self._rate
        if abs(moved_ns) <= TOLERANCE_NS and off_ns:
            self.ahead = off_ns > 0
            return (
                f"the kernel kept the offset of the guest's TSC at the load, and the TSC is "
                f"{off_ns / 1e6:+.0f} ms off the host's clock"
            )
        if abs(moved_ns) > TOLERANCE_NS and not restored:
            return (
                f"the kernel moved the offset of the guest's TSC by {moved_ns / 1e6:+.0f} ms at "
                "the load, and the TSC went on as before"
            )
        return ""

    def _other_answer(self, *, restored: bool, off_ns: float) -> str:
        """Return how the load did another thing to the TSC of another vCPU; empty if it did not.

        Only a TSC that is behind the host's clock was certainly restored: lines that arrived late
        can make one that went on seem to be ahead.
        """
        if restored == (off_ns == 0) or (restored and off_ns > 0):
            return ""
        answer = Answer.RESTORED if restored else Answer.WENT_ON
        clocks = self._clocks
        other = clocks.answers.other_than(clocks.vcpu, answer, self._resumed.since_ns)
        if other is None:
            return ""
        was, went = (clocks.vcpu, other) if restored else (other, clocks.vcpu)
        return (
            f"the load restored the TSC of vCPU {was} to the save, and let the TSC of vCPU {went} "
            "go on with the host's clock"
        )

    def _jump_ahead(
        self, name: str, clock: GuestClock, value: int, before: Arrival, rate: float = 1
    ) -> str:
        """Judge a further reading of a clock.

        The lines since the load may all have arrived late. Since the first of them, the clock has
        advanced by no more than the host's time since the guest resumed.
        """
        reading = Reading(value, self._heard[-1].at_ns)
        off_ns = clock.off_ns(reading, before.at_ns - self._period_ns, rate)
        clock.hear(reading)
        advanced_ns = cycles_between(self._first.setdefault(name, value), value) / rate
        passed_ns = reading.at_ns - self._resumed.since_ns
        if off_ns <= 0 or advanced_ns <= passed_ns + TOLERANCE_NS:
            return ""
        self.ahead = True
        return (
            f"the guest's {name} jumped ahead: it advanced by {advanced_ns / 1e6:.0f} ms since the "
            f"first tick after the load, within {passed_ns / 1e6:.0f} ms of the host's time"
        )

    def _apart(self, tick: Tick, *, first: bool) -> str:
        """Compare the vCPU's clocks with the other vCPUs' clocks."""
        clocks = self._clocks
        clocks.spread.resume(self._resumed.since_ns)
        clocks.skew.resume(self._resumed.since_ns, self._rate, loaded=not self._sham)
        if not first:  # the first line's bound may come from before the load
            clocks.skew.hear(clocks.vcpu, tick)
        if self._sham:
            clocks.spread.learn(clocks.vcpu, tick, self._rate)
            return ""
        moved_ns = clocks.skew.moved_ns(self._rate)
        apart_ns = clocks.spread.apart_ns(clocks.vcpu, tick, self._rate)
        if moved_ns:
            return (
                f"the TSCs of the vCPUs moved apart at a load, by {moved_ns / 1e6:.3f} ms or more"
            )
        if apart_ns:
            return f"kvmclock is {apart_ns / 1e6:+.3f} ms off the kvmclock of another vCPU"
        return ""

"""The protocol of a timer: everything that depends on the source of a guest's ticks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.lapic import Lapic
from orchestrator.guest.lines import Testimony
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.state import GuestState
from orchestrator.timers.first_tick import ResumeTiming


@dataclass(frozen=True, slots=True)
class Hearing:
    """The testimonies of a silent vCPU, and the facts that are needed to explain its silence."""

    why: str
    """The observation of the trial, such as `no tick in 200 ms of vCPU time`."""
    testimonies: Sequence[Testimony]
    """At least two."""
    vector: int
    """Vector of the guest's tick interrupt."""
    tmict: int
    """TMICT in the save that was loaded."""
    lvtt: int
    """LVTT in the save that was loaded."""
    progress_per_period: float
    """The guest's progress in one period."""
    rescued: bool
    """True if ticks came back after the guest re-armed its timer."""
    divide: int = 0
    """Divisor of the timer's clock in the save that was loaded; 0 if it is not known."""
    deadline: int = 0
    """The TSC deadline that the guest had written last in the save; 0 if it wrote none."""
    fired: bool = False
    """True if a witness saw the timer fire: the kernel's trace, or, in the built-in control,
    the handler that swallows the interrupt."""
    lapic: Lapic | None = None
    """The LAPIC as QEMU showed it before the testimonies; None if it could not be read."""
    slept_periods: float | None = None
    """Host time between the first and the last testimony, in periods, for a guest that makes
    no progress while it waits for a tick."""
    interrupts_on: bool = False
    """True if QEMU showed the vCPU with interrupts on."""

    @property
    def interrupts_off(self) -> bool:
        """True if the guest's interrupts stay off: nobody has seen them on.

        A look at a vCPU costs it time, for which the guest accounts with interrupts off for a
        moment. So the next NMI often meets it there.
        """
        return not (self.interrupts_on or any(each.interrupt_flag for each in self.testimonies))

    @property
    def periods_apart(self) -> float:
        """Time between the first and the last testimony, in periods."""
        if self.slept_periods is not None:
            return self.slept_periods
        first, last = self.testimonies[0], self.testimonies[-1]
        return (last.progress - first.progress) / self.progress_per_period

    @property
    def waiting(self) -> Mapping[str, frozenset[int]]:
        """Vectors in IRR and in ISR, by the testimonies and by QEMU."""
        said, vector, lapic = self.testimonies, self.vector, self.lapic
        return {
            "IRR": frozenset().union(
                *(each.pending(vector) for each in said), lapic.irr if lapic else ()
            ),
            "ISR": frozenset().union(
                *(each.in_service(vector) for each in said), lapic.isr if lapic else ()
            ),
        }


@dataclass(frozen=True, slots=True)
class Sleep:
    """What is known of a silent vCPU that is idle, and whose guest cannot testify."""

    why: str
    """The observation of the trial."""
    vector: int
    """Vector of the guest's tick interrupt."""
    saved: Lapic
    """LVTT, TMICT and the divisor in the save that was loaded."""
    lapic: Lapic
    """The LAPIC as QEMU shows it now."""
    silent_ns: int
    """The host's time for which the vCPU was silent while it was looked at."""
    slept: bool
    """Whether the vCPU's thread slept by itself when it was looked at: no exit, no instruction."""
    fired: bool = False
    """True if a witness saw the timer fire."""
    overdue_ns: int | None = None
    """How long ago the timer was due by the account of the guest's kernel, in the kernel's time;
    negative if the timer is yet to come. None if the kernel gave no account."""


class Timer(Protocol):
    """A source of ticks: how it is armed, classed, controlled and diagnosed."""

    @property
    def name(self) -> str:
        """Its name on the plan axis `mode`."""
        ...

    @property
    def cpu_features(self) -> str:
        """CPU features to add or remove, as QEMU's `-cpu` takes them, such as `+tsc-deadline`."""
        ...

    @property
    def first_tick_periods(self) -> float:
        """Likely time from a load to the first tick, in periods; for estimates of run time."""
        ...

    @property
    def reloads(self) -> bool:
        """Whether the timer runs on by itself, so that the tick after a late one is not late.

        A timer that the guest arms at each tick begins a whole period then.
        """
        ...

    @property
    def goes_on(self) -> bool:
        """Whether ticks go on after a lost interrupt, so that it leaves a gap and no silence."""
        ...

    @property
    def stops_with_vm(self) -> bool:
        """Whether the timer stops while the vCPUs are stopped, whoever emulates it."""
        ...

    @property
    def fires_by_tsc(self) -> bool:
        """Whether the timer fires when the TSC reaches the deadline that the guest wrote."""
        ...

    @property
    def catches_up(self) -> bool:
        """Whether ticks that fell into a time without the vCPU come later, one after another."""
        ...

    def armed(self, state: GuestState, lapic: Lapic) -> bool:
        """Return whether a stopped guest waits for a tick that is yet to come."""
        ...

    def masked(self, lapic: Lapic, vector: int) -> bool:
        """Return whether a tick of this vector cannot leave the timer."""
        ...

    @property
    def always_qemus(self) -> bool:
        """Whether QEMU's own device is the timer, whatever KVM emulates."""
        ...

    @property
    def behind_pic(self) -> bool:
        """Whether its interrupt comes through the PIC, and not from the LAPIC's timer."""
        ...

    @property
    def states(self) -> Collection[SavedState]:
        """States of the LAPIC in which a guest with this timer can be saved."""
        ...

    def in_state(self, state: SavedState) -> "Timer":
        """Return this timer for saves in another of its states."""
        ...

    def under_a_kernel(self, tick: float) -> "Timer":
        """Return this timer for a guest whose kernel counts its interrupts to ticks.

        The kernel arms its timer for points of its own clock. A tick that comes late does not
        delay the next one, and an interrupt that comes too early is no tick.

        Args:
            tick: longest time between two interrupts, in periods.
        """
        ...

    @property
    def conditions(self) -> frozenset[str]:
        """Conditions that a save must meet in this state, and that otherwise rule it out.

        Their names are those of `trial/look.py`.
        """
        ...

    @property
    def may_wait(self) -> bool:
        """Whether the tick may be pending in a save in this state."""
        ...

    @property
    def saved_after(self) -> float:
        """Time from a tick to where phase 0 of a save lies in this state, in periods."""
        ...

    def gap_periods(self, held: float) -> float:
        """Return the time between two ticks, in periods.

        Args:
            held: time from a tick to the end of the state that the guest holds, in periods.
        """
        ...

    def nearest_period_ns(self, wanted_ns: int) -> int:
        """Return the longest period that the timer can have and that is at most the wanted one."""
        ...

    def due(
        self, phase: float, resumed: ResumeTiming, held: float = 0.0
    ) -> Mapping[Outcome, tuple[float, float]]:
        """Return when the first tick after a load is due, for each class that it can have.

        Args:
            phase: how far into the period the save was taken, 0 to 1.
            resumed: when the loaded VM resumed.
            held: time from the save to the end of the state that the guest holds, in periods.

        Returns:
            Earliest and latest time by class, in periods of the guest's progress.
        """
        ...

    def control_periods(self, period_ns: int, times: int = 1) -> int:
        """Return the length of the built-in control's window, in periods of `period_ns`.

        Args:
            period_ns: the timer's period.
            times: asks for a window that is so many times longer, as shorter ones have passed
                before the guest was stopped.
        """
        ...

    def control_lost(self, outcome: Outcome, cause: Cause | None) -> bool:
        """Return whether a vCPU shows a loss, such as the built-in control injects one.

        Args:
            outcome: of the vCPU.
            cause: of its silence; None if it was not silent.
        """
        ...

    def explain_sleep(self, sleep: Sleep) -> tuple[Cause, str]:
        """Return why no tick woke an idle vCPU whose interrupts are on, and the sentence."""
        ...

    def explain_silence(self, hearing: Hearing) -> tuple[Cause, str]:
        """Return why no tick came, and the sentence that says so."""
        ...

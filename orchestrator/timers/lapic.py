"""The common part of all modes of the LAPIC timer."""

import copy
from collections.abc import Collection, Mapping

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.lapic import (
    LVT_DELIVERY_MODE,
    LVT_MASKED,
    LVT_TIMER_MODE,
    Lapic,
    redivided,
)
from orchestrator.guest.lines import Testimony
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.state import GuestState
from orchestrator.timers.first_tick import ResumeTiming, kernel_due, lapic_due, remaining_due
from orchestrator.timers.held import HELD, Held
from orchestrator.timers.sleep import explain_sleep
from orchestrator.timers.timer import Hearing, Sleep, Timer

#: Shortest window of the built-in control. On a busy host the save that must be taken inside it
#: comes late, whatever the period is.
CONTROL_WINDOW_NS = 120_000_000

#: Value of a register that the guest reads where it has no LAPIC.
UNREACHED = 0xFFFFFFFF


class LapicTimer:
    """A LAPIC timer. Each mode says what is different about it."""

    name: str

    #: The mode in a diagnosis.
    title: str

    #: Whether the timer stands still once it has fired, so that it can be seen as expired.
    expires = True

    #: Words for a current count that stays 0.
    over = "reads as expired"

    #: The guest arms the timer at each tick.
    reloads = False

    #: A lost interrupt silences the guest.
    goes_on = False

    #: Longest time between two interrupts that a kernel counts to ticks, in periods; 0 if each
    #: interrupt is a tick.
    _kernel_tick = 0.0

    #: KVM delivers one tick for all that fell into a wait of the vCPU.
    catches_up = False
    stops_with_vm = False
    fires_by_tsc = False

    #: A CPU that offers TSC-deadline makes an operating system use it, which hides the bug.
    cpu_features = "-tsc-deadline"

    #: Whether the first tick comes at once or after a period depends on the kernel.
    first_tick_periods = 0.5

    def armed(self, state: GuestState, lapic: Lapic) -> bool:
        """Return whether the guest armed the timer and has not had the tick."""
        return state.arms == state.ticks + 1 and lapic.tmict != 0

    def masked(self, lapic: Lapic, vector: int) -> bool:
        """Return whether LVTT is masked or has another vector."""
        return lapic.masked or lapic.vector != vector

    always_qemus = False
    behind_pic = False

    #: All of them.
    states = tuple(SavedState)

    #: The state in which the guest is saved; None if its timer is plainly armed.
    _held: Held | None = None

    def in_state(self, state: SavedState) -> Timer:
        """Return this timer for saves in another state."""
        other = copy.copy(self)
        other._held = HELD.get(state)
        return other

    def under_a_kernel(self, tick: float) -> Timer:
        """Return this timer for a guest whose kernel counts its interrupts to ticks."""
        other = copy.copy(self)
        other._kernel_tick = tick
        other.reloads = True
        return other

    @property
    def conditions(self) -> frozenset[str]:
        """None, if the timer is plainly armed."""
        return self._held.conditions if self._held else frozenset()

    @property
    def may_wait(self) -> bool:
        """False, unless the guest holds the tick back itself."""
        return self._held is not None and self._held.may_wait

    @property
    def saved_after(self) -> float:
        """0, unless the timer must have expired before the save."""
        return self._held.saved_after if self._held else 0.0

    def gap_periods(self, held: float) -> float:
        """Return 1, unless the guest holds the tick back."""
        return self._held.gap(held) if self._held else 1.0

    def nearest_period_ns(self, wanted_ns: int) -> int:
        """Return the wanted period: the timer can have any."""
        return wanted_ns

    def due(
        self, phase: float, resumed: ResumeTiming, held: float = 0.0
    ) -> Mapping[Outcome, tuple[float, float]]:
        """Return the times of `immediate`, `full-period` and `remaining`."""
        if self._kernel_tick:
            return kernel_due(phase, resumed, self._kernel_tick)
        due = self._plainly_due(phase, resumed)
        return self._held.due(due, held, resumed) if self._held else due

    def _plainly_due(
        self, phase: float, resumed: ResumeTiming
    ) -> Mapping[Outcome, tuple[float, float]]:
        """Return when the first tick is due if the timer is plainly armed in the save.

        QEMU saves its own LAPIC with the time at which the timer fires, by the VM's clock.
        """
        if resumed.lapic_stood:
            return {Outcome.REMAINING: remaining_due(phase)}
        return lapic_due(phase, resumed)

    def control_periods(self, period_ns: int, times: int = 1) -> int:
        """Return six periods, or as many as `CONTROL_WINDOW_NS` takes.

        A save may be taken only near the end of the window (`Limits.control_left_periods`).
        """
        return max(6, -(-CONTROL_WINDOW_NS // period_ns)) * times

    def control_lost(self, outcome: Outcome, cause: Cause | None) -> bool:
        """Return whether the vCPU was silent, and diagnosed as having lost its interrupt."""
        return outcome is Outcome.LOST and cause is Cause.LOST_INTERRUPT

    def explain_silence(self, hearing: Hearing) -> tuple[Cause, str]:
        """Return the cause of a silence from the guest's testimonies.

        A lost interrupt is: the initial count as programmed, the current count zero in two
        testimonies more than a period apart, LVTT unmasked with the tick vector, IF set,
        nothing in IRR or ISR, one arming more than ticks, and ticks that resume after a
        re-arm. All words of IRR and ISR count.
        """
        first, last = hearing.testimonies[0], hearing.testimonies[-1]
        if last.lvtt == UNREACHED:
            return (
                Cause.NOT_RESTORED,
                f"{hearing.why}; the guest does not reach its LAPIC: all registers read as "
                f"{UNREACHED:#x}, as they do when the LAPIC is off or in the other of xAPIC and "
                "x2APIC mode.",
            )
        changed = redivided(hearing.divide, hearing.lapic) if hearing.lapic else ""
        for testimony in (first, last):
            hindered = _hindrance(testimony, hearing)
            if hindered and not (changed and hindered[0] is Cause.PENDING):  # it came in the end
                cause, what = hindered
                return cause, f"{what}: {self._read_out(testimony, hearing.vector)}."
        read = self._read_out(last, hearing.vector)
        if last.arms == last.ticks:
            return (
                Cause.NOT_REARMED,
                f"the guest took its last tick and did not arm another: {read}.",
            )
        if not (self._restored(first, hearing) and self._restored(last, hearing)):
            return (
                Cause.NOT_RESTORED,
                f"the guest armed its timer (TMICT was {hearing.tmict} in the save), and now "
                f"TMICT is {last.tmict}: {read}.",
            )
        if changed:
            said = f"{hearing.why}; `info lapic` shows another timer than the save's: {changed}"
            return Cause.NOT_RESTORED, f"{said}: {read}."
        apart = hearing.periods_apart
        if self._running(first) or self._running(last):
            return self._explain_running(last, hearing, read)
        awaited = last.arms == last.ticks + 1 and _as_armed(first, last)
        if apart <= 1 or not awaited:
            return (
                Cause.UNEXPLAINED,
                f"{hearing.why}, but the testimonies, {apart:.1f} periods apart, fit no known "
                f"cause: {read}.",
            )
        for which, vectors in hearing.waiting.items():
            if vectors:
                tick = hearing.vector in vectors  # only QEMU saw it
                return (
                    Cause.PENDING if tick else Cause.WRONG_VECTOR,
                    f"{hearing.why}; the timer {self.over}, and {_named(vectors)} waits in "
                    f"the {which} (the tick vector is {hearing.vector:#x}): {read}.",
                )
        if not hearing.rescued:
            return (
                Cause.UNEXPLAINED,
                f"{hearing.why}; the timer {self.over}, yet a re-arm did not bring ticks back: "
                f"{read}.",
            )
        cause, claim = self._over(hearing)
        return (
            cause,
            f"{claim}: {hearing.why}, and in two testimonies {apart:.1f} periods apart the timer "
            f"{self.over}, unmasked, with nothing pending or in service and interrupts on "
            f"({read}); a re-arm brought ticks back.",
        )

    def explain_sleep(self, sleep: Sleep) -> tuple[Cause, str]:
        """Return the cause of an idle guest's silence, from QEMU's view of its LAPIC alone.

        It claims less than testimonies do: QEMU does not know the current count of KVM's timer,
        and nobody re-arms it. So the timer must be that of the save, and more time than it takes
        to expire must have passed, in which the vCPU slept.
        """
        return explain_sleep(sleep, self.title, expires=self.expires)

    def _over(self, hearing: Hearing) -> tuple[Cause, str]:
        """Return the cause, and the claim, for a timer that is over and brought no tick.

        A timer that the kernel never started reads like one that expired. Only a witness can
        tell the one from the other.
        """
        what = "expired" if hearing.fired else "expired or was never started"
        return (
            Cause.LOST_INTERRUPT,
            f"the {self.title} LAPIC timer {what}, and its interrupt never reached the guest",
        )

    def _explain_running(self, last: Testimony, hearing: Hearing, read: str) -> tuple[Cause, str]:
        """Return the cause for a timer that has yet to expire."""
        return (
            Cause.UNEXPLAINED,
            f"{hearing.why}, but the testimonies, {hearing.periods_apart:.1f} periods apart, fit "
            f"no known cause: the timer has yet to expire: {read}.",
        )

    def _restored(self, testimony: Testimony, hearing: Hearing) -> bool:
        """Return whether the timer's register has the value that the save had.

        A kernel programs another value at each interrupt, and may have taken some since the save.
        """
        if testimony.kernel:
            return testimony.tmict != 0
        return testimony.tmict == hearing.tmict

    def _running(self, testimony: Testimony) -> bool:
        """Return whether the timer has yet to expire."""
        early = testimony.kernel is not None and testimony.kernel.overdue_ns < 0
        return testimony.tmcct != 0 or early

    def _registers(self, testimony: Testimony) -> str:
        """Return the mode's own registers, as a diagnosis quotes them."""
        return f"TMICT {testimony.tmict}, TMCCT {testimony.tmcct}"

    def _read_out(self, testimony: Testimony, vector: int) -> str:
        t = testimony
        irr, isr = _named(t.pending(vector)), _named(t.in_service(vector))
        return (
            f"LVTT {t.lvtt:#x}, {self._registers(t)}, IRR {irr}, ISR {isr}, PPR {t.ppr:#x}, "
            f"IF {int(t.interrupt_flag)}, {t.ticks} ticks, {_arming(t)}"
        )


def _arming(testimony: Testimony) -> str:
    """Return in words whether the guest has armed its timer since the last tick."""
    kernel = testimony.kernel
    if kernel is None:
        return f"{testimony.arms} arms"
    if testimony.arms == testimony.ticks:
        return f"{kernel.interrupts} timer interrupts, and the kernel waits for none"
    when = "ago" if kernel.overdue_ns >= 0 else "from now"
    return (
        f"{kernel.interrupts} timer interrupts, and the kernel waits for one that was due "
        f"{abs(kernel.overdue_ns) / 1e6:.1f} ms {when}"
    )


def _as_armed(first: Testimony, last: Testimony) -> bool:
    """Return whether a kernel waited for the same event in both, and counted no interrupt since."""
    if first.kernel is None or last.kernel is None:
        return True
    return (
        first.kernel.interrupts == last.kernel.interrupts
        and first.kernel.next_event_ns == last.kernel.next_event_ns
    )


def _named(vectors: Collection[int]) -> str:
    """Return vectors in words."""
    return "clear" if not vectors else "+".join(f"{vector:#x}" for vector in sorted(vectors))


def _hindrance(testimony: Testimony, hearing: Hearing) -> tuple[Cause, str] | None:
    """Return what keeps the tick from the guest; None if nothing is pending or in the way."""
    vector, saved = hearing.vector, f"LVTT was {hearing.lvtt:#x} in the save"
    if testimony.lvtt & LVT_MASKED:
        return Cause.NOT_DELIVERABLE, f"the timer's LVTT is masked ({saved})"
    if testimony.lvtt & 0xFF != vector:
        return Cause.NOT_DELIVERABLE, f"the timer's LVTT has another vector ({saved})"
    if (testimony.lvtt ^ hearing.lvtt) & LVT_TIMER_MODE:
        return Cause.NOT_RESTORED, f"the timer is in another mode ({saved})"
    if (testimony.lvtt ^ hearing.lvtt) & LVT_DELIVERY_MODE:
        return Cause.NOT_RESTORED, f"the timer's LVTT has another delivery mode ({saved})"
    return interrupts_in_the_way(testimony, vector, off=hearing.interrupts_off)


def interrupts_in_the_way(
    testimony: Testimony, vector: int, *, off: bool
) -> tuple[Cause, str] | None:
    """Return what keeps an interrupt of the LAPIC from the guest; None if nothing does.

    A tick that is pending with nothing in its way is returned as well.

    Args:
        testimony: what the guest has read.
        vector: the tick's.
        off: whether the guest's interrupts stay off; see `Hearing.interrupts_off`.
    """
    bit = 1 << (vector & 31)
    if off:
        return Cause.NOT_DELIVERABLE, "the guest runs with interrupts off"
    stuck = [each for each in testimony.in_service(vector) if each >> 4 >= vector >> 4]
    if stuck:
        return (
            Cause.IN_SERVICE,
            f"{_named(stuck)} is in service although the guest runs no handler of it, which holds "
            "the tick back",
        )
    if (testimony.ppr >> 4) >= vector >> 4:
        return Cause.NOT_DELIVERABLE, "the priority of the processor holds the tick back"
    if testimony.irr & bit:
        return (
            Cause.PENDING,
            "the tick vector is in the IRR, nothing holds it back, and yet it is not delivered",
        )
    return None

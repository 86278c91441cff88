"""The common part of timers whose interrupt comes through the PIC instead of the LAPIC.

Such a timer runs by itself, like a periodic LAPIC timer. The guest's testimony has the PIC in
the place of the LAPIC: the mask of the PIC in `lvtt`, its IRR and its ISR.
"""

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.lapic import Lapic
from orchestrator.guest.lines import Testimony
from orchestrator.guest.state import GuestState
from orchestrator.timers.armed import ArmedTimer
from orchestrator.timers.first_tick import ResumeTiming, lapic_due
from orchestrator.timers.periodic import Periodic
from orchestrator.timers.timer import Hearing


class PicTimer(ArmedTimer):
    """A timer that runs by itself, and interrupts the first vCPU through the PIC."""

    name: str

    #: The timer in a diagnosis.
    title: str

    #: A CPU feature that this timer does not use.
    cpu_features = "-tsc-deadline"

    #: The timer starts each period by itself.
    reloads = True

    first_tick_periods = 1.0

    behind_pic = True

    def armed(self, state: GuestState, lapic: Lapic) -> bool:
        """Return whether the guest started the timer, which then runs by itself."""
        return state.arms == state.ticks + 1

    def masked(self, lapic: Lapic, vector: int) -> bool:
        """Return whether the LAPIC hands on nothing of the PIC's."""
        return not lapic.takes_pic

    def due(
        self, phase: float, resumed: ResumeTiming, held: float = 0.0
    ) -> Mapping[Outcome, tuple[float, float]]:
        """Return the times of `immediate`, `full-period` and `remaining`.

        QEMU's devices stand with their VM and keep the remaining time.
        """
        if self.always_qemus:  # its clock is the VM's, whatever the LAPIC's is
            resumed = replace(resumed, since_load=0.0, lapic_stood=True)
        return lapic_due(phase, resumed)

    def control_periods(self, period_ns: int, times: int = 1) -> int:
        """Return the window of a periodic timer: its ticks go on after it."""
        return Periodic().control_periods(period_ns, times)

    def control_lost(self, outcome: Outcome, cause: Cause | None) -> bool:
        """Return whether periods are missing: swallowed ticks do not silence this timer for good.

        In a long window the guest counts as silent, and even as lost, before its ticks go on. A
        guest whose ticks come back while it is looked at may seem to have had one pending.
        """
        came_back = outcome is Outcome.LOST and cause in (Cause.CAME_BACK, Cause.PENDING)
        return outcome in (Outcome.MISSED, Outcome.RECOVERED) or came_back

    def explain_silence(self, hearing: Hearing) -> tuple[Cause, str]:
        """Return the cause of a silence, from the PIC as the guest reads it."""
        bit = 1 << (hearing.vector & 7)
        last = hearing.testimonies[-1]
        read = self._read_out(last)
        if last.lvtt & bit:
            return Cause.NOT_DELIVERABLE, f"the PIC masks the {self.title}: {read}."
        if hearing.interrupts_off:
            return Cause.NOT_DELIVERABLE, f"the guest runs with interrupts off: {read}."
        if last.isr & bit:
            return (
                Cause.NOT_DELIVERABLE,
                f"the PIC still waits for the end of the last interrupt: {read}.",
            )
        if last.irr & bit:
            return (
                Cause.PENDING,
                f"the interrupt of the {self.title} waits in the PIC's IRR, nothing holds it back, "
                f"and yet it is not delivered: {read}.",
            )
        return self._explain_unraised(hearing, last, read)

    def _explain_unraised(self, hearing: Hearing, last: Testimony, read: str) -> tuple[Cause, str]:
        """Return the cause of a silence in which the PIC has nothing pending."""
        return Cause.UNEXPLAINED, f"{hearing.why}, and the PIC has nothing pending: {read}."

    def _registers(self, testimony: Testimony) -> str:
        """Return the timer's own registers, as a diagnosis quotes them."""
        raise NotImplementedError

    def _read_out(self, t: Testimony) -> str:
        return (
            f"{self._registers(t)}, the PIC's mask {t.lvtt:#x}, IRR {t.irr:#x}, ISR {t.isr:#x}, "
            f"IF {int(t.interrupt_flag)}, {t.ticks} ticks"
        )

"""The PIT, channel 0 as a rate generator, on IRQ 0."""

from orchestrator.findings.cause import Cause
from orchestrator.guest.lines import Testimony
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.timers.pic import PicTimer
from orchestrator.timers.timer import Hearing

#: Longest period: the count has 16 bits, and falls at 1.193182 MHz.
LONGEST_NS = 54_000_000


class Pit(PicTimer):
    """Counts down again and again. KVM emulates it, or QEMU; KVM starts a period at a load."""

    name = TimerMode.PIT.value
    title = "PIT"

    #: KVM counts the ticks that the guest has not ended yet, and injects each of them later. QEMU's
    #: default for kvm-pit, lost_tick_policy=delay, asks for that.
    catches_up = True

    def nearest_period_ns(self, wanted_ns: int) -> int:
        """Return the wanted period, or the longest if it is shorter."""
        return min(wanted_ns, LONGEST_NS)

    def _registers(self, testimony: Testimony) -> str:
        return f"count {testimony.tmcct}"

    def _explain_unraised(self, hearing: Hearing, last: Testimony, read: str) -> tuple[Cause, str]:
        if hearing.testimonies[0].tmcct == last.tmcct:
            return Cause.NOT_STARTED, f"{hearing.why}, and the PIT does not count: {read}."
        return (
            Cause.LOST_PIC_INTERRUPT,
            f"{hearing.why}; the PIT counts, and its interrupts never reach the guest: {read}.",
        )

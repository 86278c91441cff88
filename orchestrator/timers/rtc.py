"""The periodic interrupt of the RTC, on IRQ 8."""

from orchestrator.findings.cause import Cause
from orchestrator.guest.lines import Testimony
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.timers.pic import PicTimer
from orchestrator.timers.timer import Hearing

#: Bit of register B that lets the RTC raise its periodic interrupt.
_PERIODIC_INTERRUPT = 0x40

#: The shortest period that the firmware takes; each longer one is twice the one before.
_SHORTEST_NS = 1_953_125

#: How often it can be doubled: the RTC's slowest rate is 2 Hz.
_DOUBLINGS = 8


class Rtc(PicTimer):
    """Raises IRQ 8, which stays raised until the guest reads register C. It is QEMU's own device.

    The PIC takes the edge. If an edge is lost, no other comes until register C is read: the
    guest is silent for good.
    """

    name = TimerMode.RTC.value
    title = "RTC"
    always_qemus = True

    def nearest_period_ns(self, wanted_ns: int) -> int:
        """Return the longest of the RTC's periods that is at most the wanted one."""
        doublings = (wanted_ns // _SHORTEST_NS).bit_length() - 1
        return _SHORTEST_NS << max(0, min(doublings, _DOUBLINGS))

    def _registers(self, testimony: Testimony) -> str:
        return f"registers A {testimony.tmict:#x} and B {testimony.tmcct:#x}"

    def _explain_unraised(self, hearing: Hearing, last: Testimony, read: str) -> tuple[Cause, str]:
        if not last.tmcct & _PERIODIC_INTERRUPT:
            return (
                Cause.NOT_RESTORED,
                f"{hearing.why}; the guest switched the RTC's periodic interrupt on, and now it is "
                f"off: {read}.",
            )
        if not hearing.rescued:
            return (
                Cause.UNEXPLAINED,
                f"{hearing.why}; the RTC's periodic interrupt is on, yet reading its register C "
                f"and starting it again brought no ticks back: {read}.",
            )
        return (
            Cause.LOST_PIC_INTERRUPT,
            f"{hearing.why}; the RTC's interrupt was raised and never reached the guest, which "
            f"therefore did not read register C: {read}; reading it brought ticks back.",
        )

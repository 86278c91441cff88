"""The tick firmware: its image, its configuration record and its state block.

`images/tick/README.md` describes all three; the numbers here are those of
`images/tick/tick.S`.
"""

import enum
from dataclasses import dataclass

from orchestrator.guest.apic import Apic
from orchestrator.guest.timer_mode import TimerMode

TICK_VECTOR = 0x40


#: A vCPU's own port is this one plus its APIC ID; the first has the UART.
DEBUG_PORT = 0xE900


#: The fw_cfg file that carries the configuration record.
CONFIG_FILE = "opt/losttick/config"


#: Shortest period that the guest accepts (a line takes time to print).
MIN_PERIOD_NS = 1_000_000


#: Longest period: TMICT has 32 bits and counts nanoseconds (KVM's and TCG's
#: LAPIC timers run at 1 GHz, divided by 1).
MAX_PERIOD_NS = 2**32 - 1


#: vCPUs that the firmware can tick on.
MAX_VCPUS = 8


class Fault(enum.IntEnum):
    """What the guest is told to do wrong at one tick: switches for tests."""

    NONE = 0
    NO_REARM = 1
    IF_CLEAR = 2
    LVTT_MASKED = 3
    TRIPLE_FAULT = 4
    TPR_RAISED = 5
    TIMER_STOPPED = 6
    MUTE = 7
    HALT = 8


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """What the guest is told through fw_cfg."""

    mode: TimerMode = TimerMode.ONE_SHOT
    apic: Apic = Apic.XAPIC
    period_ns: int = 20_000_000
    control_tick: int = 0
    """Tick after which the built-in control begins; 0 for none."""
    control_periods: int = 6
    """Length of the control's window, in periods."""
    fault: Fault = Fault.NONE
    fault_tick: int = 0
    print_delay: int = 0
    """Empty loops before each character: stretches a line in time, for tests."""
    vcpus: int = 1
    """vCPUs that tick, each with a timer, counters and lines of its own."""
    shared_port: bool = False
    """Whether all of them print to the UART, one at a time."""
    subject: int = 0
    """The vCPU with the control or the fault, by its APIC ID."""

    def record(self) -> str:
        """Return the fixed-width record."""
        fields = (
            list(TimerMode).index(self.mode),
            list(Apic).index(self.apic),
            self.period_ns,
            self.control_tick,
            self.control_periods,
            self.fault,
            self.fault_tick,
            self.print_delay,
            self.vcpus,
            self.shared_port,
            self.subject,
        )
        return "LTK1" + "".join(f"{field:08x}" for field in fields)

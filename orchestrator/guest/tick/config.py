"""The tick firmware's configuration record and its fixed numbers.

`images/tick/README.md` describes the record; the numbers here are those of
`images/tick/tick.S`.
"""

import enum
from dataclasses import dataclass

from orchestrator.guest.apic import Apic
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.guest.wait import Wait

TICK_VECTOR = 0x40


#: Each vCPU after the first prints to the port at this number plus its APIC ID; the first
#: has the UART.
DEBUG_PORT = 0xE900


#: The fw_cfg file that carries the configuration record.
CONFIG_FILE = "opt/losttick/config"


#: Timers by their number in the record.
MODES = tuple(mode.value for mode in TimerMode)


class Fault(enum.IntEnum):
    """A fault that the firmware commits at one tick, for tests."""

    NONE = 0
    NO_REARM = 1
    IF_CLEAR = 2
    LVTT_MASKED = 3
    TRIPLE_FAULT = 4
    TPR_RAISED = 5
    TIMER_STOPPED = 6
    MUTE = 7
    HALT = 8
    LATE = 9
    """The next tick comes after 1.5 periods. Not for a periodic timer."""
    EARLY = 10
    """The next tick comes after 0.5 periods. Not for a periodic timer."""
    EXTRA = 11
    """Another tick comes as soon as the line of this one is printed."""
    RATE = 12
    """From this tick on, the period is 1.5 times as long."""
    SKEW = 13
    """From this tick on, the vCPU reads a TSC that is ahead by 1/64 of a period."""
    CLOCK = 14
    """From this tick on, the vCPU reads a kvmclock that is ahead by 10 ms."""
    SPURIOUS = 15
    """Once the line of this tick is printed, spurious interrupts come: the LAPIC's, and with a PIC
    those of both PICs."""
    STRAY = 16
    """An interrupt comes then that is not spurious, on the LAPIC's spurious vector."""


@dataclass(frozen=True, slots=True)
class Switches:
    """The firmware's own test switches."""

    fault: Fault = Fault.NONE
    fault_tick: int = 0
    """Tick at which the fault happens, on the vCPU that the configuration calls subject."""
    print_delay: int = 0
    """Empty loops before each character: each line takes longer to print."""


def record(config: GuestConfig, switches: Switches) -> str:
    """Return the fixed-width record.

    Raises:
        ValueError: the firmware has no such timer.
    """
    fields = (
        MODES.index(config.mode),
        list(Apic).index(config.apic),
        config.period_ns,
        config.control_tick,
        config.control_periods,
        switches.fault,
        switches.fault_tick,
        switches.print_delay,
        config.vcpus,
        config.shared_port,
        config.subject,
        list(Wait).index(config.wait),
        list(SavedState).index(config.state),
    )
    return "LTK1" + "".join(f"{field:08x}" for field in fields)

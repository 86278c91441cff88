"""The configuration that every guest gets before it starts."""

from dataclasses import dataclass

from orchestrator.guest.apic import Apic
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait

#: Shortest period that may be asked for, in nanoseconds: a tick takes time to print.
MIN_PERIOD_NS = 1_000_000


#: Longest period: TMICT has 32 bits and counts nanoseconds (the LAPIC timers of KVM and
#: TCG run at 1 GHz, divided by 1).
MAX_PERIOD_NS = 2**32 - 1


#: vCPUs that may be asked for.
MAX_VCPUS = 8


#: Name of the timer that a guest uses unless it is told another.
DEFAULT_TIMER = "one-shot"


#: Name of the guest that runs unless a plan names another.
DEFAULT_GUEST = "tick"


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """The configuration of a guest. How the guest receives it depends on the guest."""

    mode: str = DEFAULT_TIMER
    """Name of the timer that makes the guest tick."""
    apic: Apic = Apic.XAPIC
    period_ns: int = 20_000_000
    control_tick: int = 0
    """Tick after which the built-in control begins; 0 for no control."""
    control_periods: int = 6
    """Length of the control's window, in periods."""
    vcpus: int = 1
    """vCPUs that tick. Each has its own timer, counters and lines."""
    shared_port: bool = False
    """True if all vCPUs print to one console, one at a time."""
    debug_port: bool = False
    """Whether the first console should be a debug port instead of a UART."""
    subject: int = 0
    """APIC ID of the vCPU on which the control (or a test's fault) happens."""
    wait: Wait = Wait.BUSY
    """The guest's way to wait for a tick."""
    state: SavedState = SavedState.ARMED
    """State of the LAPIC between two ticks, while a save may be taken."""

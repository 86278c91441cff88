"""One vCPU of a guest, as its own counters in memory describe it."""

import enum
from dataclasses import dataclass


class Stage(enum.IntEnum):
    """The stage that a guest has reached."""

    BOOTING = 0
    TICKING = 1
    CONTROL_WINDOW = 2
    """The built-in control swallows ticks."""
    CONTROL_SILENT = 3
    """The window of the built-in control has passed; the timer is not armed."""
    HALTED = 4


class OverwrittenError(ValueError):
    """Another content than the guest's is where its memory has its counters."""


@dataclass(frozen=True, slots=True)
class GuestState:
    """The counters of one vCPU at the moment at which its memory was read."""

    printing: bool
    """True if a line was being printed."""
    ticks: int
    """Interrupts taken since the guest started."""
    arms: int
    """How often the guest has armed its timer since it started."""
    progress: int
    """Progress since the last tick."""
    printed: int
    """Sequence number of the last tick whose line was printed."""
    stage: Stage
    window_left: int
    """Progress that is left until the window of the built-in control ends."""
    swallowed: int = 0
    """Interrupts taken on the control's vector, whose handler only counts and ends them."""
    strays: int = 0
    """Interrupts taken on vectors that the guest never uses."""
    deadline: int = 0
    """The TSC deadline that the guest wrote last; 0 outside TSC-deadline mode."""
    hold: int = 0
    """TSC cycles of running time for which the guest holds its LAPIC in a state after each
    tick; 0 if it does not."""
    hold_left: int = 0
    """TSC cycles of running time that are left until the guest ends that state; 0 if it has."""
    tick_tsc: int = 0
    """TSC at the last tick; 0 if the guest does not note it."""
    tsc: int = 0
    """TSC at the end of the last turn of the busy-wait loop; 0 if the guest does not note it, or
    has not ticked."""
    stolen: int = 0
    """TSC cycles since the last tick that went into long turns, as in a `Tick`."""
    period_cycles: int = 0
    """TSC cycles in a period, as the guest measured them before its first tick; 0 if it did
    not."""
    kvmclock_ns: int = 0
    """kvmclock at the last tick whose line was printed; 0 if the guest has none."""
    stray: int = 0
    """The vector of the last of the `strays`; 0 if there was none, or if nothing tells."""
    spurious: int = 0
    """Interrupts that seemed to be spurious ones of the LAPIC or the PIC."""

"""The lines that a guest prints, whatever their form on the wire."""

from dataclasses import dataclass

#: This number of TSC cycles, more than ever pass, stands for one that the guest could not say.
UNTOLD = 1 << 60


@dataclass(frozen=True, slots=True)
class Ready:
    """The guest has read its configuration and is about to start its timer."""

    fields: tuple[int, ...] = ()
    """The configuration as the guest read it, for information."""
    period_cycles: int = 0
    """TSC cycles in a period, as the guest measured the timer before its first tick; 0 if
    it did not."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One timer interrupt, as the guest counted it."""

    sequence: int
    """Number of this interrupt since the guest started, from 1."""
    progress: int
    """Progress since the previous tick, in turns of the guest's busy-wait loop. The time
    that the guest spends on printing adds nothing."""
    tsc: int
    """TSC at the interrupt. KVM does not rewind it when a snapshot is loaded."""
    print_cycles: int
    """TSC cycles from the previous tick until its line was printed, without progress; `UNTOLD`
    if they were more than the guest's lines can say."""
    arms: int
    """How often the guest has armed its timer since it started."""
    stolen: int = 0
    """TSC cycles since the previous tick that went into turns of the busy-wait loop longer
    than 0.02 periods: the vCPU did not run in them."""
    longest: int = 0
    """TSC cycles of the longest such turn; 0 if there was none."""
    since_longest: int = 0
    """TSC cycles from the end of that turn to this tick."""
    since_last: int = 0
    """TSC cycles from the end of the last such turn to this tick. The vCPU ran in this time."""
    ahead: int | None = None
    """TSC cycles by which the vCPU's TSC was ahead of the next vCPU's, at most; negative if it
    was behind. The next one of the last vCPU is the first. None if the guest did not measure
    it since the line before."""
    kvmclock_ns: int = 0
    """kvmclock at the interrupt, in nanoseconds; 0 if the guest has none, or if it has gone on
    with the TSC since the last tick that said it."""


@dataclass(frozen=True, slots=True)
class ControlOpened:
    """The built-in control has begun: until its window ends the guest swallows its ticks."""

    sequence: int
    """The last tick before the window."""
    window: int
    """Length of the window, in progress."""


@dataclass(frozen=True, slots=True)
class KernelTimer:
    """The tick of one vCPU as the guest's kernel itself accounts for it."""

    interrupts: int
    """Timer interrupts that the kernel has counted (`LOC` in `/proc/interrupts`)."""
    now_ns: int
    """The kernel's monotonic time."""
    next_event_ns: int
    """The time for which the kernel has armed its timer, by the same clock."""

    @property
    def overdue_ns(self) -> int:
        """How long ago the timer was due; negative if it is yet to come."""
        return self.now_ns - self.next_event_ns


@dataclass(frozen=True, slots=True)
class Testimony:
    """The state of the LAPIC as the guest itself reads it after an NMI."""

    number: int
    """NMIs since the last tick, this one included."""
    lvtt: int
    tmict: int
    tmcct: int
    irr: int
    """The 32-bit IRR register that holds the tick vector."""
    isr: int
    """The 32-bit ISR register that holds the tick vector."""
    ppr: int
    tpr: int
    deadline: int
    """IA32_TSC_DEADLINE; 0 outside TSC-deadline mode."""
    progress: int
    """Progress since the last tick."""
    ticks: int
    """Interrupts taken since the guest started."""
    arms: int
    """How often the guest has armed its timer since it started."""
    flags: int
    cs: int
    ip: int
    irr_elsewhere: int = 0
    """The highest vector in the other seven registers of the IRR; 0 if they are clear."""
    isr_elsewhere: int = 0
    """The highest vector in the other seven registers of the ISR; 0 if they are clear."""
    kernel: KernelTimer | None = None
    """The account of the guest's kernel; None if the guest has no kernel."""

    def pending(self, vector: int) -> frozenset[int]:
        """Return the vectors that are known to be in the IRR, given the tick vector."""
        return _vectors(self.irr, self.irr_elsewhere, vector)

    def in_service(self, vector: int) -> frozenset[int]:
        """Return the vectors that are known to be in the ISR, given the tick vector."""
        return _vectors(self.isr, self.isr_elsewhere, vector)

    @property
    def interrupt_flag(self) -> bool:
        """IF of the interrupted code."""
        return bool(self.flags & 0x200)


def _vectors(word: int, elsewhere: int, vector: int) -> frozenset[int]:
    base = vector & ~31
    near = {base + bit for bit in range(32) if word >> bit & 1}
    return frozenset(near | ({elsewhere} if elsewhere else set()))


@dataclass(frozen=True, slots=True)
class Refused:
    """The guest stopped before its first tick: it cannot do what its configuration asks."""

    reason: str
    lacks: bool = True
    """True if its virtual machine lacks something. Otherwise the guest did not get as far as to
    find out: a vCPU was late, or the configuration did not arrive whole."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """The guest took an exception that it does not handle, and stopped."""

    what: str
    """The exception, such as `exception 13 at f000:0123`."""


Line = Ready | Tick | ControlOpened | Testimony | Refused | Crashed

"""Saves, and the state of the guest in each."""

from dataclasses import dataclass

from orchestrator.guest.state import Stage

#: If the last turn ended less than so many nanoseconds before the stop, the vCPU was running at
#: the stop.
SHORT_NS = 5_000_000


@dataclass(frozen=True, slots=True)
class VcpuSave:
    """The state of one vCPU in a save."""

    vcpu: int
    phase: float
    """Position in the timer period, 0 to 1, from the guest's progress and its printing time."""
    progress: int
    progress_per_period: float
    ticks: int
    arms: int
    lvtt: int
    tmict: int
    irr: tuple[int, ...]
    isr: tuple[int, ...]
    interrupt_flag: bool
    printing: bool
    stage: Stage
    ineligible: tuple[str, ...] = ()
    """Reasons why loads of this state are no evidence."""
    expired: bool = False
    """True if the timer ran out in the stopped instance before the save was taken. Only the
    kernel's LAPIC does this: it keeps running while the instance is stopped."""
    hold: float = 0.0
    """Time for which the guest holds its LAPIC in a state after each tick, in periods."""
    hold_left: float = 0.0
    """Time that is left until the guest ends that state, in periods."""
    swallowed: int = 0
    """Interrupts that the guest has taken on the control's vector."""
    strays: int = 0
    """Interrupts that the guest has taken on vectors that it never uses."""
    deadline: int = 0
    """The TSC deadline that the guest wrote last; 0 outside TSC-deadline mode."""
    tsc: int = 0
    """TSC at the end of the guest's last turn before the save; 0 if the guest does not note it."""
    stolen: int = 0
    """TSC cycles between the last tick and the save in which the vCPU did not run."""
    since_turn_ns: int = 0
    """Time from the end of the guest's last turn to the stop, by the host's clock: the vCPU
    waited for a CPU, or slept. 0 if it is shorter than `SHORT_NS` and than
    a tenth of a period, or if nothing tells."""
    kvmclock_ns: int = 0
    """kvmclock at the last tick before the save; 0 if the guest has none."""
    gaps: tuple[float, ...] = ()
    """Times between ticks before the guest's first load that came when they were due, in
    periods. Only the first save of a guest that was never loaded has them."""
    divide: int = 0
    """Divisor of the LAPIC timer's clock; 0 if it is not known."""
    stray: int = 0
    """The vector of the last of the `strays`; 0 if there was none, or if nothing tells."""
    spurious: int = 0
    """Interrupts that seemed to be spurious ones of the LAPIC or the PIC."""
    wrong_kvmclock_rate: float | None = None
    """How fast kvmclock had gone on by the TSC since the guest said it last, if that was wrong."""
    tpr: int = 0
    """The LAPIC's task priority."""


@dataclass(frozen=True, slots=True)
class Save:
    """One snapshot of an instance, with the state of each of its vCPUs."""

    tag: str
    intended_phase: float
    vcpus: tuple[VcpuSave, ...]
    generation: int = 0
    """Number of loads that the guest had gone through before this save."""
    stopped_periods: float = 0.0
    """How long the instance had been stopped when it was saved, by the host's clock."""
    control: bool = False
    """True if it was taken inside the built-in control: its loads test the observer."""
    widened: bool = False
    """True if the aim had missed its phases so often that a wider range was accepted."""
    saved_ns: int = 0
    """When QEMU had taken the save, by the host's clock; 0 if nobody noted the time."""

    @property
    def ineligible(self) -> tuple[str, ...]:
        """Reasons why loads of this save are no evidence about the host; empty if they are."""
        if self.control:
            return ("control",)
        return tuple(
            reason + (f" on vCPU {part.vcpu}" if part.vcpu else "")
            for part in self.vcpus
            for reason in part.ineligible
        )

    @property
    def eligible(self) -> bool:
        """True if loads of this save are evidence about the host."""
        return not self.ineligible

    @property
    def first(self) -> VcpuSave:
        """The first vCPU: the save was aimed at a phase of this vCPU's period."""
        return self.vcpus[0]

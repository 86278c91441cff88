"""A save: what was true of a guest in it."""

from dataclasses import dataclass

from orchestrator.guest.tick.state import Stage


@dataclass(frozen=True, slots=True)
class Save:
    """One snapshot, and what was true in it."""

    tag: str
    intended_phase: float
    phase: float
    """Where in the period it was stopped, by the guest's spins and the time of its printing."""
    spins: int
    spins_per_period: float
    ticks: int
    arms: int
    lvtt: int
    tmict: int
    irr: tuple[int, ...]
    isr: tuple[int, ...]
    interrupt_flag: bool
    printing: bool
    stage: Stage
    ineligible: tuple[str, ...]
    """Why its loads are no evidence; empty if they are."""
    generation: int = 0
    """Loads that its guest had gone through before."""
    stopped_periods: float = 0.0
    """How long it had stood still when it was saved, by the host's clock."""
    expired: bool = False
    """Whether a LAPIC that does not stop with its machine had by then run out of its period."""
    vcpu: int = 0
    """The vCPU that all of this is of; what is ineligible is that of all."""
    others: "tuple[Save, ...]" = ()
    """What was true of the other vCPUs."""

    @property
    def eligible(self) -> bool:
        """Whether its loads are evidence."""
        return not self.ineligible

    def of(self, vcpu: int) -> "Save":
        """Return what was true of a vCPU."""
        return (self, *self.others)[vcpu]

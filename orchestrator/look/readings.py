"""The readings of a look, as data: what was seen of each vCPU, before anybody judges it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from orchestrator.bugs.exposure import Exposure
from orchestrator.guest.lapic import Lapic, Registers


@dataclass(frozen=True, slots=True)
class Counters:
    """KVM's counters of one vCPU. Each is a number of times, and only grows."""

    exits: int
    irq_exits: int
    """Exits because of an interrupt of the host."""
    signal_exits: int
    """Returns to QEMU because of a signal, as a look by the monitor causes them."""
    irq_injections: int
    """Interrupts that KVM injected. With APICv, most reach the guest without an injection."""
    halt_wakeups: int
    """Times that an interrupt woke the halted vCPU."""
    yields: int
    """Exits of a guest that spun in a loop with `pause`, as it waits for a lock."""

    @property
    def own_exits(self) -> int:
        """Exits that the guest itself caused."""
        return self.exits - self.irq_exits

    def since(self, earlier: "Counters") -> "Counters":
        """Return by how much each counter has grown."""
        names = [each.name for each in fields(self)]
        return Counters(**{name: getattr(self, name) - getattr(earlier, name) for name in names})


@dataclass(frozen=True, slots=True)
class ThreadTimes:
    """The times of a vCPU's thread at one moment."""

    cpu_ns: int
    """CPU time that the thread has used."""
    run_delay_ns: int | None
    """Time for which it waited for a CPU; None unless it sleeps at this moment, and None if the
    host does not count it."""
    switches: int | None = None
    """Times that the thread went to sleep by itself; None if the host does not say it."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time in which nobody touched the vCPU."""

    ns: int
    counters: Counters | None = None
    """By how much KVM's counters grew; None if nobody can say."""
    cpu_ns: int | None = None
    """CPU time that the thread used; None if its thread is not known."""
    switches: int | None = None
    """Times that the thread went to sleep by itself; None if the host does not say it."""
    slept: bool = False
    """True if the thread slept at both ends, and hardly ran between them."""
    starved: bool = False
    """True if the thread did not sleep at the end, and yet hardly ran."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A vCPU's LAPIC and registers at one moment."""

    at_ns: int
    """When QEMU had shown them, by the host's clock."""
    lapic: Lapic | None
    """None if QEMU did not show it, or not in a form that is understood."""
    registers: Registers | None


@dataclass(frozen=True, slots=True)
class VcpuReadings:
    """All that was read of one vCPU."""

    vcpu: int
    windows: Sequence[Window] = ()
    """One before the first glance, and one between the glances; fewer in a shorter look."""
    glances: Sequence[Glance] = ()
    began_ns: int = 0
    """When the first window began, by the host's clock."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the judgement has to know besides the readings of the vCPUs."""

    exposure: Exposure
    """Whether the host could show the APICv bug in this QEMU's guests."""
    run_state: str | None = "running"
    """QEMU's run state; None if there is no monitor to ask."""
    lapic_is_qemus: bool = False
    """True if QEMU emulates the LAPIC, as under TCG."""
    paravirtual: bool = False
    """True if KVM's back end makes exits of its own, so that they show nothing of the guest."""
    seen_frozen: bool = False
    """True if somebody saw otherwise that the guest has stopped, for instance because a counter
    that the guest raises stands still. The judgement then needs no counters of the host."""

"""Evidence: everything that was read after an outcome other than normal ticks."""

from dataclasses import dataclass, field

from orchestrator.guest.lapic import Lapic, Registers
from orchestrator.guest.lines import Testimony
from orchestrator.guest.state import GuestState


@dataclass(frozen=True, slots=True)
class LookTaken:
    """One look at a silent guest, with its times by the host's clock."""

    name: str
    """The command of QEMU, or the kind of interrupt, by which losttick looked."""
    began_ns: int
    ended_ns: int
    """When QEMU had answered. From then on the silent vCPUs were watched."""
    rearms: bool = False
    """True if the look makes the guest re-arm its timer."""


@dataclass(slots=True)
class VcpuEvidence:
    """Evidence about one vCPU. A field is None if it was not reached or could not be read."""

    vcpu: int = 0
    advanced_ns: int | None = None
    """CPU time that the vCPU's thread used during the first look, `query-status`."""
    slept: bool = False
    """True if the thread neither ran nor waited for a CPU during that look: it slept by itself."""
    memory: list[GuestState] = field(default_factory=list)
    """The guest's state block, read twice through memory, without touching the vCPU."""
    overwritten: str = ""
    """What was read instead of the guest's state block; empty if that was there."""
    memory_ns: int = 0
    """The host's time from before the first of these reads to after the last."""
    lapic: Lapic | None = None
    lapic_text: str = ""
    registers: Registers | None = None
    registers_text: str = ""
    testimonies: list[Testimony] = field(default_factory=list)
    asked_ns: list[int] = field(default_factory=list)
    """The host's time at which each testimony was asked for."""
    rescued: bool | None = None
    """True if ticks went on after the guest re-armed its timer."""
    cured_by: str | None = None
    """The look after which ticks came back."""
    cured_lapic: Lapic | None = None
    """The LAPIC after they had come back, if nobody had read it before."""
    unaided: bool = False
    """True if the vCPU ticked again before anything was read."""
    ticked_ns: int | None = None
    """When the first tick during the examination arrived, by the host's clock."""


@dataclass(slots=True)
class Evidence:
    """Evidence about an instance and about each of its vCPUs without normal ticks."""

    run_state: str | None = None
    """QEMU's run state; None if QEMU was not asked, or did not answer."""
    stats: object | None = None
    """KVM's counters of every vCPU (`query-stats`, QEMU 7.1 and later)."""
    qemu_crash: str | None = None
    """How QEMU crashed, in a sentence with its own last words; None if QEMU did not crash."""
    qemu_stderr: list[str] = field(default_factory=list)
    """The last lines that a QEMU that had given its guest up wrote to its standard error; empty
    for any other."""
    failure: str | None = None
    """Why reading ended early."""
    trace: str | None = None
    """The kernel's trace since the last load."""
    console_tail: str = ""
    guest_log: str = ""
    """The last words of the guest's kernel log; empty if the guest keeps none."""
    timer_list: str = ""
    """What the guest's kernel printed when SysRq `q` asked it for its timers; empty if it was not
    asked, or did not answer."""
    console_garbled: int = 0
    """Lines in the form of the guest's lines, but with a wrong checksum."""
    console_dropped_bytes: int = 0
    qmp_log: list[dict[str, object]] = field(default_factory=list)
    vcpus: tuple[VcpuEvidence, ...] = ()
    began_ns: int = 0
    """When the examination began, by the host's clock: the silence was proven by then, and the
    guest had been left alone. 0 if nobody noted the time."""
    ended_ns: int = 0
    """When the examination ended, by the host's clock."""
    looks: list[LookTaken] = field(default_factory=list)
    """The looks in their order. Evidence from before losttick noted their times has none."""

    def of(self, vcpu: int) -> VcpuEvidence:
        """Return the evidence about one vCPU."""
        return next(part for part in self.vcpus if part.vcpu == vcpu)

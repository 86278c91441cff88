"""What was read of a vCPU at a hang."""

from dataclasses import dataclass, field

from orchestrator.guest.lapic import Lapic, Registers
from orchestrator.guest.tick.lines import Testimony
from orchestrator.guest.tick.state import GuestState


@dataclass(slots=True)
class Evidence:
    """What was read of a vCPU at a hang; what is None was not reached or could not be read."""

    vcpu: int = 0
    run_state: str | None = None
    vcpu_advanced_ns: int | None = None
    """vCPU CPU time that passed while the guest was looked at the first time."""
    memory: list[GuestState] = field(default_factory=list)
    """The state block, twice, without touching the vCPU."""
    stats: object | None = None
    """KVM's counters of the vCPU (`query-stats`, QEMU 7.1 on)."""
    lapic: Lapic | None = None
    lapic_text: str = ""
    registers: Registers | None = None
    registers_text: str = ""
    testimonies: list[Testimony] = field(default_factory=list)
    rescued: bool | None = None
    """Whether ticks went on after the guest re-armed its timer."""
    cured_by: str | None = None
    """The look after which ticks came back."""
    unaided: bool = False
    """Whether it had ticked again before anybody looked."""
    failure: str | None = None
    """Why gathering ended early."""
    console_tail: str = ""
    console_garbled: int = 0
    """Lines that had the form of the guest's, but not the checksum."""
    console_dropped_bytes: int = 0
    qmp_log: list[dict[str, object]] = field(default_factory=list)
    trace: str | None = None

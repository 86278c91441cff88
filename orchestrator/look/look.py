"""The answer of a look, as data."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.bugs.exposure import Exposure
from orchestrator.guest.lapic import Lapic


class Condition(enum.StrEnum):
    """The condition of a vCPU, or of a virtual machine."""

    FROZEN_BY_BUG = "frozen as by this bug"
    """It shows nothing but what the APICv bug leaves behind."""
    FROZEN_OTHERWISE = "frozen otherwise"
    ALIVE = "alive"
    PAUSED = "paused"
    """QEMU does not let it run, because somebody asked for that."""
    UNKNOWN = "can't tell"

    @property
    def frozen(self) -> bool:
        """True if the guest should run, and does not."""
        return self in (Condition.FROZEN_BY_BUG, Condition.FROZEN_OTHERWISE)


@dataclass(frozen=True, slots=True)
class VcpuLook:
    """The condition of one vCPU, with its grounds."""

    vcpu: int
    condition: Condition
    why: str
    """The grounds, as a clause or two without a full stop."""
    idle: bool = False
    """True if it sleeps as a vCPU does that has nothing to do."""
    parked: bool = False
    """True if it is halted with interrupts off, so that no interrupt can wake it."""
    late: bool = False
    """True if it showed no sign of life before its LAPIC was looked at, and then one."""
    lapic: Lapic | None = None
    """Its LAPIC, as it was seen last."""


@dataclass(frozen=True, slots=True)
class Look:
    """The condition of a virtual machine and of each of its vCPUs."""

    condition: Condition
    why: str
    vcpus: Sequence[VcpuLook]
    revive: Sequence[str]
    """Sentences that say what would help; empty for a guest that is alive."""
    exposure: Exposure
    caveats: Sequence[str] = ()
    """Sentences that say what the grounds cannot carry."""
    seconds: float = 0.0
    """How long the look took."""
    qemu: str | None = None
    """QEMU's version; None if it was not asked."""
    pid: int | None = None
    """QEMU's process; None if it is not known."""

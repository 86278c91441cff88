"""Observations of an emulator, as data."""

import enum
from dataclasses import dataclass

from orchestrator.android.life import Watched
from orchestrator.bugs.catalogue import APICV_BUG


class Guest(enum.StrEnum):
    """The guest did this after a load, or when it was found."""

    RAN = "ran"
    FROZE = "froze"
    STOPPED = "stopped"
    """The emulator itself holds the guest: it says that the virtual device is stopped."""


class Likeness(enum.StrEnum):
    """A frozen guest looks like this from outside."""

    BY_BUG = "frozen as by the known bug"
    OTHERWISE = "frozen otherwise"
    ALIVE = "alive"
    """Its vCPUs run, and take interrupts: only Android's heartbeat is silent."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Freeze:
    """The state of a silent guest, judged by its vCPUs and their LAPICs."""

    likeness: Likeness
    why: str
    """The grounds, for somebody who knows KVM."""


@dataclass(frozen=True, slots=True)
class Load:
    """One load of a snapshot, or what the guest did when it was found (number 0)."""

    number: int
    guest: Guest
    watched: Watched


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was seen of one emulator."""

    avd: str
    owned: bool
    """True if losttick started it."""
    timers: tuple[str, ...]
    """The timer of each vCPU's LAPIC, as it was before the first save; empty if not known."""
    wanted: int
    """Loads that were asked for."""
    loads: tuple[Load, ...]
    freeze: Freeze | None = None
    """The freeze after the last load, if the guest froze."""
    qemu: str = ""
    """The version of the emulator's QEMU; empty if it was not asked."""
    trouble: str = ""
    """Whatever losttick could not put back, in words; empty if nothing is left behind."""

    @property
    def last(self) -> Guest:
        """The guest did this last."""
        return self.loads[-1].guest if self.loads else Guest.RAN

    @property
    def hidden(self) -> bool:
        """True if the timer that all vCPUs use is one that the known bug does not strike."""
        return bool(self.timers) and not any(APICV_BUG.strikes(each) for each in self.timers)

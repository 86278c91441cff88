"""The common part of guests that are all of their image."""

from collections.abc import Collection
from typing import Self

from orchestrator.guest.apic import Apic
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lapic import Registers


class BareGuest:
    """A guest without a kernel under it. A base class for users' own guests."""

    apics: Collection[Apic] = tuple(Apic)
    kernel_tick_ns = 0
    least_memory_mib = 2
    start_ns = 0
    log_chardev: str | None = None
    sysrq_files: Collection[str] = ()

    def booting(self, kernel: str) -> Self:
        """Return this guest: it has no kernel."""
        return self

    def prepare(self) -> None:
        """Do nothing: its image is there."""

    def overdue_ns(self, timers: str, vcpu: int) -> None:
        """Return that nobody knows: it has no kernel that lists its timers."""

    def nearest_period_ns(self, wanted_ns: int) -> int:
        """Return the wanted period: it can have any."""
        return wanted_ns

    def can_testify(self, config: GuestConfig) -> bool:
        """Return that it can: an NMI reaches a vCPU that halts as well."""
        return True

    def reasons_against(self, registers: Registers, config: GuestConfig) -> tuple[str, ...]:
        """Return nothing: it only waits, and its state says when it prints."""
        return ()

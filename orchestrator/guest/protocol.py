"""The protocol of a guest: everything that a trial needs from one.

A guest is a program that runs in the VM and ticks. Everything that depends on which
program runs is asked of an object with this protocol: how QEMU boots it, how its lines are
read, where it keeps its counters, and how it can be made to testify.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.guest.apic import Apic
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lapic import Registers
from orchestrator.guest.lines import Line
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.state import GuestState
from orchestrator.guest.wait import Wait


class Memory(Protocol):
    """Guest-physical memory, read through QEMU's monitor.

    There are two ways to read it. One is quick and needs a stopped VM; the other leaves
    the vCPUs of a running VM untouched. The caller chooses, and the guest does not notice.
    """

    async def read(self, address: int, size: int) -> bytes:
        """Return `size` bytes from a guest-physical address; both are multiples of 4.

        Raises:
            MonitorError: QEMU failed to read.
            ValueError: QEMU's answer is not understood.
        """
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """One way to make a silent guest testify or re-arm its timer."""

    look: str
    """Its name in the evidence, such as `NMI 1`."""
    nmi: bool = True
    """Whether QEMU injects an NMI into every vCPU. If false, the guest testifies by itself
    after some time without a tick, and is only watched."""
    rearms: bool = False
    """Whether the guest re-arms its timer then: ticks that come back are a rescue. Without
    it a question changes nothing."""
    answer_ns: int = 0
    """vCPU time that the guest may take to answer, at least."""


class LineReader(Protocol):
    """Reads the lines of a guest."""

    @property
    def line(self) -> re.Pattern[bytes]:
        """Pattern of one line, in a stream that may hold anything else."""
        ...

    def parse(self, match: re.Match[bytes]) -> tuple[int, Line] | None:
        """Return which vCPU says what; None if the line is torn or altered."""
        ...


class Guest(LineReader, Protocol):
    """A program that ticks, and how it is started, heard and questioned."""

    @property
    def name(self) -> str:
        """Its name on the plan axis `guest`."""
        ...

    @property
    def timers(self) -> Collection[str]:
        """Names of the timers that it can tick by."""
        ...

    @property
    def apics(self) -> Collection[Apic]:
        """The ways in which it can reach its LAPIC."""
        ...

    @property
    def waits(self) -> Collection[Wait]:
        """The ways in which it can wait for a tick."""
        ...

    @property
    def states(self) -> Collection[SavedState]:
        """The states in which it can hold its LAPIC while it is saved."""
        ...

    @property
    def vector(self) -> int:
        """Vector of its tick interrupt."""
        ...

    @property
    def kernel_tick_ns(self) -> int:
        """Longest time between two interrupts of its timer, if a kernel counts them to ticks.

        0 if each tick is one interrupt, for which the guest itself arms its timer. A kernel arms
        its timer by its own clock, so that an interrupt at a wrong time moves no later tick.
        """
        ...

    @property
    def least_memory_mib(self) -> int:
        """Memory that it needs, in MiB."""
        ...

    @property
    def start_ns(self) -> int:
        """Time that may pass from QEMU's greeting to its first line, at least, in ns."""
        ...

    @property
    def log_chardev(self) -> str | None:
        """QEMU's device with a ring buffer of its kernel's log; None if it keeps no log."""
        ...

    @property
    def sysrq_files(self) -> Collection[str]:
        """Names of files with the keys of SysRq that make its kernel list its timers, in order.

        QEMU reads each of them into `log_chardev` after a break. Empty if it has no kernel.
        """
        ...

    def overdue_ns(self, timers: str, vcpu: int) -> int | None:
        """Return how long ago a vCPU's timer was due by its kernel's list of timers.

        Negative if the timer is yet to come; None if the list does not say it.
        """
        ...

    def booting(self, kernel: str) -> "Guest":
        """Return this guest with another kernel; a guest without a kernel returns itself.

        Args:
            kernel: `debian:SUITE`, `debian:VERSION`, `host`, or the path of an image.
        """
        ...

    def prepare(self) -> None:
        """Fetch what it boots from, if it is not there. This may block for minutes.

        Raises:
            UnfitError: it can't be had here.
            InputError: the name of a kernel names nothing.
        """
        ...

    def nearest_period_ns(self, wanted_ns: int) -> int:
        """Return the shortest period that it can have, from the wanted one on."""
        ...

    def reasons_against(self, registers: Registers, config: GuestConfig) -> Sequence[str]:
        """Return why a vCPU with these registers is not in its wait for a tick; empty if it is."""
        ...

    @property
    def files(self) -> Mapping[str, bytes]:
        """Files that QEMU needs to boot it, by name in QEMU's own folder."""
        ...

    @property
    def sha256(self) -> str:
        """Identity of its image, in hexadecimal digits."""
        ...

    def qemu_args(self, config: GuestConfig) -> Sequence[str]:
        """Return the arguments that boot it, name its consoles and hand over its configuration."""
        ...

    def consoles(self, config: GuestConfig) -> int:
        """Return how many consoles it prints to: one for all vCPUs, or one for each."""
        ...

    async def state(self, memory: Memory, vcpu: int) -> GuestState:
        """Read the counters of one vCPU.

        Raises:
            MonitorError: QEMU failed to read memory.
            ValueError: memory does not hold this guest's counters.
        """
        ...

    @property
    def questions(self) -> Sequence[Question]:
        """Questions to a silent guest, in their order; empty if it cannot testify.

        A diagnosis from testimonies needs two of them.
        """
        ...

    def can_testify(self, config: GuestConfig) -> bool:
        """Return whether a vCPU without ticks still runs the guest's program, which testifies.

        The program of a kernel's idle vCPU runs again only when a timer wakes it.
        """
        ...

    @property
    def control_tick(self) -> int:
        """Tick after which its built-in control should begin; 0 if it has no control.

        Enough ticks must come before it to learn the guest's pace.
        """
        ...

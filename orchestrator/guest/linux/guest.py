"""Linux as a guest: a kernel, and a first process that does nothing but tick."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from orchestrator.guest.apic import Apic
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lapic import Registers
from orchestrator.guest.lines import Line
from orchestrator.guest.linux.config import (
    KERNEL_TICK_NS,
    MEMORY_MIB,
    TICK_VECTOR,
    TIMERS,
    WHOLE_NS,
    command_line,
)
from orchestrator.guest.linux.initramfs import initramfs
from orchestrator.guest.linux.kernel import DEFAULT_KERNEL, guest_kernel
from orchestrator.guest.linux.lines import parse
from orchestrator.guest.linux.sysrq import KEYS, overdue_ns
from orchestrator.guest.protocol import Question
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.tick.config import Switches
from orchestrator.guest.tick.printed import PrintsAsTickFirmware, debug_ports
from orchestrator.guest.wait import Wait

#: Names of the kernel and of its first file system in QEMU's folder.
KERNEL_FILE, INITRAMFS_FILE = "vmlinuz", "initramfs"

#: The device with the kernel's log, and its size in bytes.
LOG_CHARDEV, LOG_BYTES = "klog", 65536

#: vCPU time in which a silent guest answers an NMI: it reads two files of /proc before.
ANSWER_NS = 150_000_000

#: The privilege level of user mode.
_USER = 3


@dataclass(frozen=True, slots=True)
class LinuxGuest(PrintsAsTickFirmware):
    """A Linux kernel whose first process ticks."""

    kernel: str = DEFAULT_KERNEL
    """`debian:SUITE`, `debian:VERSION`, `host`, or the path of a bzImage."""
    switches: Switches = field(default_factory=Switches)
    """Faults for the guest to commit, in tests."""
    name: str = field(default="linux", init=False)
    log_chardev: str = field(default=LOG_CHARDEV, init=False)

    timers = TIMERS
    apics = (Apic.XAPIC,)
    waits = tuple(Wait)
    states = (SavedState.ARMED,)
    vector = TICK_VECTOR
    kernel_tick_ns = KERNEL_TICK_NS
    least_memory_mib = MEMORY_MIB
    start_ns = 60_000_000_000
    sysrq_files = tuple(KEYS)

    def booting(self, kernel: str) -> "LinuxGuest":
        """Return this guest with another kernel."""
        return replace(self, kernel=kernel)

    def prepare(self) -> None:
        """Fetch the kernel, if it is not there."""
        guest_kernel(self.kernel)

    def nearest_period_ns(self, wanted_ns: int) -> int:
        """Return a multiple of `WHOLE_NS`, which any kernel's tick divides."""
        return -(-wanted_ns // WHOLE_NS) * WHOLE_NS

    def overdue_ns(self, timers: str, vcpu: int) -> int | None:
        """Return how long ago a vCPU's timer was due, by what SysRq `q` has printed."""
        return overdue_ns(timers, vcpu)

    def can_testify(self, config: GuestConfig) -> bool:
        """Return whether the guest never goes idle: one with a control does not."""
        return config.wait is not Wait.HALT or config.control_tick > 0

    def reasons_against(self, registers: Registers, config: GuestConfig) -> tuple[str, ...]:
        """Return whether the vCPU runs the kernel, or an idle one is awake.

        In user mode it waits, and its kernel has armed the timer: the kernel does so before it
        leaves its tick's handler.
        """
        if not self.can_testify(config):
            return () if registers.halted else ("awake",)
        return () if registers.cpl == _USER else ("in the kernel",)

    @property
    def files(self) -> Mapping[str, bytes]:
        """The kernel, its first file system, and keys for its console."""
        image = guest_kernel(self.kernel).image
        return {KERNEL_FILE: image, INITRAMFS_FILE: initramfs(), **KEYS}

    @property
    def sha256(self) -> str:
        """SHA-256 of the kernel and its first file system, one after the other."""
        digest = hashlib.sha256(guest_kernel(self.kernel).image)
        digest.update(initramfs())
        return digest.hexdigest()

    def qemu_args(self, config: GuestConfig) -> list[str]:
        """Return the arguments for kernel, command line, debug ports and the kernel's log."""
        return [
            *("-kernel", KERNEL_FILE, "-initrd", INITRAMFS_FILE),
            *("-append", command_line(config, self.switches)),
            *debug_ports(0, self.consoles(config)),
            *("-chardev", f"ringbuf,id={LOG_CHARDEV},size={LOG_BYTES}"),
            *("-device", f"isa-serial,chardev={LOG_CHARDEV}"),
        ]

    def parse(self, match: re.Match[bytes]) -> tuple[int, Line] | None:
        """Return which vCPU says what; None if the checksum is wrong."""
        return parse(match)

    @property
    def questions(self) -> tuple[Question, ...]:
        """Two NMIs only make it testify; the third also makes it re-arm its timer."""
        return (
            Question("NMI 1", answer_ns=ANSWER_NS),
            Question("NMI 2", answer_ns=ANSWER_NS),
            Question("NMI 3, which re-arms", rearms=True, answer_ns=ANSWER_NS),
        )

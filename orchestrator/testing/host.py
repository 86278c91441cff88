"""A host whose QEMUs are scripts."""

import re
from collections.abc import Mapping, Sequence

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.errors import InfraError
from orchestrator.guest.apic import Apic
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.tick.config import MODES
from orchestrator.guest.wait import Wait
from orchestrator.host.errors import QemuStartError
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.process.exit import ProcessExit
from orchestrator.testing.clock import FakeClock
from orchestrator.testing.qemu import FakeQemu
from orchestrator.testing.script import Script

#: An Intel host with APICv in use: it can show the known bug.
FACTS = HostFacts(
    kernel="6.6.1-fake", kernel_build="#1", cpu="Fake Xeon", vendor="GenuineIntel",
    family_model_stepping="6/85/7", microcode="0x1", cpus=4, vmx_flags=("apicv", "posted_intr"),
    kvm_modules={"kvm_intel": {"enable_apicv": "Y"}}, kvm_device="usable", tracefs=None,
    hypervisor=False,
    qemu=QemuFacts("/fake/qemu", "8.0.4", "0" * 64, ("kvm", "tcg"), frozenset({"snapshot-save"})),
)  # fmt: skip


def guest_config(args: Sequence[str]) -> GuestConfig:
    """Read back the guest's configuration from QEMU's command line.

    Raises:
        ValueError: the command line has no configuration record of the tick firmware.
    """
    record = re.search(r"string=LTK1(\w+)", " ".join(args))
    if record is None:
        raise ValueError(f"no tick guest on the command line: {' '.join(args)}")
    fields = [int(record[1][at : at + 8], 16) for at in range(0, len(record[1]), 8)]
    (mode, apic, period_ns, control_tick, control_periods, _, _, _, vcpus, shared_port,
     subject, wait, state) = fields  # fmt: skip
    return GuestConfig(
        MODES[mode], list(Apic)[apic], period_ns, control_tick, control_periods, vcpus,
        bool(shared_port), subject=subject, wait=list(Wait)[wait], state=list(SavedState)[state],
    )  # fmt: skip


class FakeHost:
    """A host of scripted QEMUs. It satisfies `orchestrator.host.protocol.Host`."""

    qemu = "/fake/qemu"
    max_consoles = 1
    slow_uart = False

    def __init__(
        self,
        script: Script | None = None,
        facts: HostFacts = FACTS,
        deadlines: Deadlines = DEFAULT_DEADLINES,
    ) -> None:
        self._facts = facts
        self.clock = FakeClock()
        self.deadlines = deadlines
        self.script = script or Script()
        self.started: list[FakeQemu] = []
        """Every QEMU that was started here."""
        self.refuse: str | None = None
        """The last words of every QEMU, which ends at once; None if QEMUs start."""
        self.trouble: InfraError | None = None
        """How the host itself ended; None as long as it can be used."""
        self.pressure: list[float] = []
        """Results of `pressure_percent`, one for each call; afterwards None."""

    @property
    def facts(self) -> HostFacts:
        """Identity of this host and of its QEMU."""
        return self._facts

    async def empty_disk(self) -> bytes:
        """Return what stands for a disk image."""
        return b""

    async def read_file(self, path: str) -> str:
        """Raise FileNotFoundError: the host has no files."""
        raise FileNotFoundError(path)

    async def pressure_percent(self) -> float | None:
        """Return the next of `pressure`, in percent."""
        return self.pressure.pop(0) if self.pressure else None

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> FakeQemu:
        """Start a QEMU that follows the host's script.

        Raises:
            QemuStartError: `refuse` says why.
        """
        if self.refuse:
            raise QemuStartError(
                "it ended", end=ProcessExit(1, self.refuse), argv=args, ended_itself=True
            )
        qemu = FakeQemu(guest_config(args), self.script, args, files)
        self.started.append(qemu)
        return qemu

"""A host with two QEMUs: one runs and saves guests, the other loads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.clock import Clock, Deadlines
from orchestrator.errors import InfraError
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.host.protocol import Host, QemuProcess


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PairedHost:
    """The host of the QEMU that saves. QEMUs that load start on `loader`."""

    saver: Host
    loader: Host
    """The same computer, with the QEMU that loads."""

    @property
    def clock(self) -> Clock:
        """The clock of the computer."""
        return self.saver.clock

    @property
    def deadlines(self) -> Deadlines:
        """How long each kind of step may take."""
        return self.saver.deadlines

    @property
    def facts(self) -> HostFacts:
        """The computer and the QEMU that saves."""
        return self.saver.facts

    @property
    def trouble(self) -> InfraError | None:
        """How the computer ended; None as long as it can be used."""
        return self.saver.trouble

    @property
    def max_consoles(self) -> int:
        """Largest number of consoles that both QEMUs can have."""
        return min(self.saver.max_consoles, self.loader.max_consoles)

    @property
    def slow_uart(self) -> bool:
        """Whether a guest should print to a debug port."""
        return self.saver.slow_uart

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> QemuProcess:
        """Start the QEMU that saves; see `Host.start_qemu`."""
        return await self.saver.start_qemu(args, files, consoles=consoles)

    async def empty_disk(self) -> bytes:
        """Return an empty qcow2 image."""
        return await self.saver.empty_disk()

    async def read_file(self, path: str) -> str:
        """Return a text file of the computer."""
        return await self.saver.read_file(path)

    async def pressure_percent(self) -> float | None:
        """Return how busy the CPUs are; see `Host.pressure_percent`."""
        return await self.saver.pressure_percent()


def loading_qemu(host: Host) -> QemuFacts | None:
    """Return the QEMU that loads, if it is another one than the QEMU that saves."""
    return host.loader.facts.need_qemu() if isinstance(host, PairedHost) else None

"""Lines, consoles and state blocks, which the tick firmware and Linux's first process share.

`images/tick/README.md` describes lines, ports and state blocks.
"""

import re

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.protocol import Memory
from orchestrator.guest.state import GuestState
from orchestrator.guest.tick.config import DEBUG_PORT
from orchestrator.guest.tick.lines import LINE
from orchestrator.guest.tick.state import SIZE, STATE_ADDRESS, STATE_STRIDE, parse_state
from orchestrator.host.chardevs import console_chardev


class PrintsAsTickFirmware:
    """A guest with the tick firmware's lines, consoles and state blocks. A base class."""

    __slots__ = ()

    @property
    def line(self) -> re.Pattern[bytes]:
        """Pattern of one line."""
        return LINE

    def consoles(self, config: GuestConfig) -> int:
        """Return 1 where the vCPUs share a port, else one console for each vCPU."""
        return 1 if config.shared_port else config.vcpus

    async def state(self, memory: Memory, vcpu: int) -> GuestState:
        """Read the state block of one vCPU."""
        return parse_state(await memory.read(STATE_ADDRESS + vcpu * STATE_STRIDE, SIZE))

    @property
    def control_tick(self) -> int:
        """The sixth tick: by then the pace of the guest is known."""
        return 6


def debug_ports(first: int, consoles: int) -> list[str]:
    """Return QEMU's arguments for the debug ports of the consoles from `first` on."""
    return [
        argument
        for console in range(first, consoles)
        for argument in (
            "-device",
            f"isa-debugcon,iobase={DEBUG_PORT + console:#x},chardev={console_chardev(console)}",
        )
    ]

"""The tick firmware as a guest."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from orchestrator.guest.bare import BareGuest
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import Line
from orchestrator.guest.protocol import Memory, Question
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.state import GuestState
from orchestrator.guest.tick.config import (
    CONFIG_FILE,
    DEBUG_PORT,
    MODES,
    TICK_VECTOR,
    Switches,
    record,
)
from orchestrator.guest.tick.image import firmware
from orchestrator.guest.tick.lines import LINE, parse
from orchestrator.guest.tick.state import SIZE, STATE_ADDRESS, STATE_STRIDE, parse_state
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.guest.wait import Wait
from orchestrator.host.chardevs import console_chardev

#: The image's name in QEMU's folder.
BIOS_FILE = "tick.bin"


@dataclass(frozen=True, slots=True)
class TickFirmware(BareGuest):
    """A 64 KiB firmware image that does nothing but tick."""

    switches: Switches = field(default_factory=Switches)
    """Faults for the firmware to commit, in tests."""
    name: str = field(default="tick", init=False)

    @property
    def timers(self) -> Collection[str]:
        """The three modes of the LAPIC timer, the Hyper-V timer, the PIT and the RTC."""
        return MODES

    @property
    def waits(self) -> Collection[Wait]:
        """Both: a loop, and `hlt`."""
        return tuple(Wait)

    @property
    def states(self) -> Collection[SavedState]:
        """All of them."""
        return tuple(SavedState)

    @property
    def vector(self) -> int:
        """Vector of its tick interrupt."""
        return TICK_VECTOR

    @property
    def files(self) -> Mapping[str, bytes]:
        """The image."""
        return {BIOS_FILE: firmware().content}

    @property
    def sha256(self) -> str:
        """SHA-256 of the image."""
        return firmware().sha256

    def qemu_args(self, config: GuestConfig) -> list[str]:
        """Return the arguments for image, configuration record, UART and debug ports."""
        first = 0 if config.debug_port else 1  # the firmware finds the debug port by itself
        ports = range(first, self.consoles(config))
        devices = [
            f"isa-debugcon,iobase={DEBUG_PORT + vcpu:#x},chardev={console_chardev(vcpu)}"
            for vcpu in ports
        ]
        # By default QEMU's RTC goes on while its VM is stopped, and catches up with a storm.
        rtc = ("-rtc", "clock=vm") if config.mode == TimerMode.RTC else ()
        return [
            *("-bios", BIOS_FILE),
            *rtc,
            *("-fw_cfg", f"name={CONFIG_FILE},string={record(config, self.switches)}"),
            *(() if config.debug_port else ("-serial", f"chardev:{console_chardev(0)}")),
            *(argument for device in devices for argument in ("-device", device)),
        ]

    def consoles(self, config: GuestConfig) -> int:
        """Return 1 where the vCPUs share the UART, else one console for each vCPU."""
        return 1 if config.shared_port else config.vcpus

    @property
    def line(self) -> re.Pattern[bytes]:
        """Pattern of one line."""
        return LINE

    def parse(self, match: re.Match[bytes]) -> tuple[int, Line] | None:
        """Return which vCPU says what; None if the checksum is wrong."""
        return parse(match)

    async def state(self, memory: Memory, vcpu: int) -> GuestState:
        """Read the state block of one vCPU."""
        return parse_state(await memory.read(STATE_ADDRESS + vcpu * STATE_STRIDE, SIZE))

    @property
    def questions(self) -> tuple[Question, ...]:
        """Two NMIs only testify; the third also re-arms the timer."""
        return (
            Question("NMI 1"),
            Question("NMI 2"),
            Question("NMI 3, which re-arms", rearms=True),
        )

    @property
    def control_tick(self) -> int:
        """The sixth tick: by then the pace of the guest is known."""
        return 6

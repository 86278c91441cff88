"""The tick firmware as a guest."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from orchestrator.guest.bare import BareGuest
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import Line
from orchestrator.guest.protocol import Question
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.tick.config import (
    CONFIG_FILE,
    MODES,
    TICK_VECTOR,
    Switches,
    record,
)
from orchestrator.guest.tick.image import firmware
from orchestrator.guest.tick.lines import parse
from orchestrator.guest.tick.printed import PrintsAsTickFirmware, debug_ports
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.guest.wait import Wait
from orchestrator.host.chardevs import console_chardev

#: The image's name in QEMU's folder.
BIOS_FILE = "tick.bin"


@dataclass(frozen=True, slots=True)
class TickFirmware(PrintsAsTickFirmware, BareGuest):
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
        # By default QEMU's RTC goes on while its VM is stopped, and catches up with a storm.
        rtc = ("-rtc", "clock=vm") if config.mode == TimerMode.RTC else ()
        return [
            *("-bios", BIOS_FILE),
            *rtc,
            *("-fw_cfg", f"name={CONFIG_FILE},string={record(config, self.switches)}"),
            *(() if config.debug_port else ("-serial", f"chardev:{console_chardev(0)}")),
            *debug_ports(first, self.consoles(config)),
        ]

    def parse(self, match: re.Match[bytes]) -> tuple[int, Line] | None:
        """Return which vCPU says what; None if the checksum is wrong."""
        return parse(match)

    @property
    def questions(self) -> tuple[Question, ...]:
        """Two NMIs only testify; the third also re-arms the timer."""
        return (
            Question("NMI 1"),
            Question("NMI 2"),
            Question("NMI 3, which re-arms", rearms=True),
        )

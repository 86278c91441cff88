"""The tick firmware: its image, its configuration record and its state block.

`images/tick/README.md` describes all three; the numbers here are those of
`images/tick/tick.S`.
"""

import enum
import functools
import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

TICK_VECTOR = 0x40

#: Guest-physical address of the first vCPU's state block, and from one's to the next one's.
STATE_ADDRESS, STATE_STRIDE = 0x1000, 0x2000

#: A vCPU's own port is this one plus its APIC ID; the first has the UART.
DEBUG_PORT = 0xE900

#: The fw_cfg file that carries the configuration record.
CONFIG_FILE = "opt/losttick/config"

#: Shortest period that the guest accepts (a line takes time to print).
MIN_PERIOD_NS = 1_000_000

#: Longest period: TMICT has 32 bits and counts nanoseconds (KVM's and TCG's
#: LAPIC timers run at 1 GHz, divided by 1).
MAX_PERIOD_NS = 2**32 - 1

#: vCPUs that the firmware can tick on.
MAX_VCPUS = 8


class TimerMode(enum.StrEnum):
    """How the LAPIC timer is used."""

    ONE_SHOT = "one-shot"
    PERIODIC = "periodic"
    TSC_DEADLINE = "tsc-deadline"


class Apic(enum.StrEnum):
    """How the guest reaches its LAPIC: the MMIO page or MSRs."""

    XAPIC = "xapic"
    X2APIC = "x2apic"


class Fault(enum.IntEnum):
    """What the guest is told to do wrong at one tick: switches for tests."""

    NONE = 0
    NO_REARM = 1
    IF_CLEAR = 2
    LVTT_MASKED = 3
    TRIPLE_FAULT = 4
    TPR_RAISED = 5
    TIMER_STOPPED = 6
    MUTE = 7
    HALT = 8


class Stage(enum.IntEnum):
    """Where the guest is in its life."""

    BOOTING = 0
    TICKING = 1
    CONTROL_WINDOW = 2
    CONTROL_SILENT = 3
    HALTED = 4


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """What the guest is told through fw_cfg."""

    mode: TimerMode = TimerMode.ONE_SHOT
    apic: Apic = Apic.XAPIC
    period_ns: int = 20_000_000
    control_tick: int = 0
    """Tick after which the built-in control begins; 0 for none."""
    control_periods: int = 6
    """Length of the control's window, in periods."""
    fault: Fault = Fault.NONE
    fault_tick: int = 0
    print_delay: int = 0
    """Empty loops before each character: stretches a line in time, for tests."""
    vcpus: int = 1
    """vCPUs that tick, each with a timer, counters and lines of its own."""
    shared_port: bool = False
    """Whether all of them print to the UART, one at a time."""
    subject: int = 0
    """The vCPU with the control or the fault, by its APIC ID."""

    def record(self) -> str:
        """Return the fixed-width record."""
        fields = (
            list(TimerMode).index(self.mode),
            list(Apic).index(self.apic),
            self.period_ns,
            self.control_tick,
            self.control_periods,
            self.fault,
            self.fault_tick,
            self.print_delay,
            self.vcpus,
            self.shared_port,
            self.subject,
        )
        return "LTK1" + "".join(f"{field:08x}" for field in fields)


@dataclass(frozen=True, slots=True)
class GuestState:
    """One vCPU's state block, as it stood in memory."""

    printing: bool
    ticks: int
    arms: int
    spins: int
    printed: int
    stage: Stage
    window_spins: int
    """Turns left in the control window."""

    #: 32-bit words to read at `STATE_ADDRESS`.
    WORDS = 17
    #: Bytes to read at `STATE_ADDRESS`.
    SIZE = 4 * WORDS
    MAGIC = 0x314B544C

    @classmethod
    def parse(cls, block: bytes) -> "GuestState":
        """Read a block of `SIZE` bytes.

        Raises:
            ValueError: the block is short, or is not the tick guest's.
        """
        if len(block) != cls.SIZE:
            raise ValueError(f"a state block of {len(block)} bytes, not {cls.SIZE}")
        words = struct.unpack(f"<{cls.WORDS}I", block)
        if words[0] != cls.MAGIC:
            raise ValueError(
                f"no tick guest at {STATE_ADDRESS:#x}: magic {words[0]:#010x}, not {cls.MAGIC:#x}"
            )
        return cls(
            printing=bool(words[1]),
            ticks=words[2],
            arms=words[3],
            spins=words[4],
            printed=words[5],
            stage=Stage(words[7]),
            window_spins=words[16],
        )


@dataclass(frozen=True, slots=True)
class Firmware:
    """The image and its identity."""

    content: bytes
    sha256: str


@functools.cache
def firmware() -> Firmware:
    """Return the tick firmware, from the installed package or a source tree."""
    installed = Path(__file__).with_name("tick.bin")
    source = Path(__file__).parents[2] / "images" / "tick" / "tick.bin"
    content = (installed if installed.exists() else source).read_bytes()
    return Firmware(content, hashlib.sha256(content).hexdigest())

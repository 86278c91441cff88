"""The tick firmware's state block."""

import enum
import struct
from dataclasses import dataclass

#: Guest-physical address of the first vCPU's state block, and from one's to the next one's.
STATE_ADDRESS, STATE_STRIDE = 0x1000, 0x2000


class Stage(enum.IntEnum):
    """Where the guest is in its life."""

    BOOTING = 0
    TICKING = 1
    CONTROL_WINDOW = 2
    CONTROL_SILENT = 3
    HALTED = 4


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

"""The tick firmware's state block."""

import struct

from orchestrator.guest.state import GuestState, OverwrittenError, Stage
from orchestrator.guest.tick.lines import TURN_UNIT

#: Guest-physical address of the first vCPU's state block.
STATE_ADDRESS = 0x1000

#: Distance from the state block of one vCPU to the next one's.
STATE_STRIDE = 0x2000

#: 32-bit words to read of a block.
WORDS = 42

#: Bytes to read of a block.
SIZE = 4 * WORDS

#: The first word of each block.
MAGIC = 0x314B544C


def parse_state(block: bytes) -> GuestState:
    """Read a block of `SIZE` bytes.

    Raises:
        ValueError: the block is short.
        OverwrittenError: the block is not the tick firmware's.
    """
    if len(block) != SIZE:
        raise ValueError(f"a state block of {len(block)} bytes, not {SIZE}")
    words = struct.unpack(f"<{WORDS}I", block)
    if words[0] != MAGIC:
        raise OverwrittenError(
            f"no tick guest at {STATE_ADDRESS:#x}: magic {words[0]:#010x}, not {MAGIC:#x}"
        )
    if words[7] > max(Stage):
        raise OverwrittenError(f"no tick guest at {STATE_ADDRESS:#x}: it has no stage {words[7]}")
    tick_tsc = words[10] << 32 | words[9]
    return GuestState(
        printing=bool(words[1]),
        ticks=words[2],
        arms=words[3],
        progress=words[4],
        printed=words[5],
        stage=Stage(words[7]),
        window_left=words[16],
        swallowed=words[12],
        strays=words[13],
        stray=words[40],
        spurious=words[41],
        deadline=words[21] << 32 | words[20],
        hold=words[28] * TURN_UNIT,
        hold_left=_not_negative(words[27]) * TURN_UNIT if words[29] else 0,
        tick_tsc=tick_tsc,
        tsc=_near(tick_tsc, words[22]) if tick_tsc else 0,
        stolen=words[23] * TURN_UNIT,
        period_cycles=words[14],
        kvmclock_ns=words[32] << 32 | words[31],
    )


def _not_negative(word: int) -> int:
    """Return a signed 32-bit count, or 0 if the guest has counted it down to below 0."""
    return word if word < 1 << 31 else 0


def _near(tick_tsc: int, units: int) -> int:
    """Return the TSC that `units` stands for, a 32-bit count of `TURN_UNIT` cycles.

    It is the one nearest to the last tick's: the count wraps within minutes to hours.
    """
    half = 1 << 31
    ahead = (units - tick_tsc // TURN_UNIT + half) % (2 * half) - half
    return (tick_tsc // TURN_UNIT + ahead) * TURN_UNIT

import pytest

from orchestrator.guest.state import GuestState, OverwrittenError, Stage
from orchestrator.guest.tick.state import MAGIC, SIZE, parse_state


def test_the_state_block() -> None:
    words = [MAGIC, 1, 7, 8, 1234, 6, 0, 2, 0, 12, 13, 0, 3, 4, 52, 0, 99, 0, 0, 0, 5, 6, 8, 9]
    words += [0, 0, 0, 10, 11, 1, 0, 15, 16, 0, 0, 0, 0, 0, 0, 0, 80, 17]
    block = b"".join(word.to_bytes(4, "little") for word in words)
    assert parse_state(block) == GuestState(
        True,
        7,
        8,
        1234,
        6,
        Stage.CONTROL_WINDOW,
        99,
        3,
        4,
        6 << 32 | 5,
        tsc=8 * 1024,
        stolen=9 * 1024,
        tick_tsc=13 << 32 | 12,
        hold=11 * 1024,
        hold_left=10 * 1024,
        period_cycles=52,
        kvmclock_ns=16 << 32 | 15,
        stray=80,
        spurious=17,
    )
    with pytest.raises(OverwrittenError, match="no tick guest"):
        parse_state(bytes(SIZE))
    words[7] = 90
    with pytest.raises(OverwrittenError, match="no stage 90"):
        parse_state(b"".join(word.to_bytes(4, "little") for word in words))


def test_a_hold_that_is_just_over_has_nothing_left() -> None:
    """The guest counts it down to below 0, and then ends it."""
    words = [MAGIC, *[0] * (SIZE // 4 - 1)]
    words[27], words[29] = 0xFFFFFFFE, 1
    assert parse_state(b"".join(word.to_bytes(4, "little") for word in words)).hold_left == 0


def test_the_end_of_a_turn_is_near_the_last_tick_however_long_the_host_is_up() -> None:
    """It is a 32-bit count of 1024 TSC cycles, which has wrapped a few times."""
    tick_tsc = (7 << 42) - 5 * 1024
    for ahead in (-3, 0, 2, 9):
        words = [MAGIC, *[0] * (SIZE // 4 - 1)]
        words[9], words[10] = tick_tsc & 0xFFFFFFFF, tick_tsc >> 32
        words[22] = (tick_tsc // 1024 + ahead) & 0xFFFFFFFF
        block = b"".join(word.to_bytes(4, "little") for word in words)
        assert parse_state(block).tsc == tick_tsc + ahead * 1024


def test_nothing_tells_the_end_of_a_turn_before_the_first_tick() -> None:
    """The count has wrapped, and no tick says how often."""
    words = [MAGIC, *[0] * (SIZE // 4 - 1)]
    words[22] = 0xF0000000
    assert parse_state(b"".join(word.to_bytes(4, "little") for word in words)).tsc == 0

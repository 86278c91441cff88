import pytest

from orchestrator.guest.state import GuestState, Stage
from orchestrator.guest.tick.state import MAGIC, SIZE, parse_state


def test_the_state_block() -> None:
    words = [MAGIC, 1, 7, 8, 1234, 6, 0, 2] + [0] * 4 + [3, 4, 0, 0, 99, 0, 0, 0, 5, 6, 8, 9]
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
    )
    with pytest.raises(ValueError, match="no tick guest"):
        parse_state(bytes(SIZE))

import pytest

from orchestrator.guest.tick.state import GuestState, Stage


def test_the_state_block() -> None:
    words = [GuestState.MAGIC, 1, 7, 8, 1234, 6, 0, 2] + [0] * 8 + [99]
    block = b"".join(word.to_bytes(4, "little") for word in words)
    state = GuestState.parse(block)
    assert state == GuestState(True, 7, 8, 1234, 6, Stage.CONTROL_WINDOW, 99)
    with pytest.raises(ValueError, match="no tick guest"):
        GuestState.parse(bytes(GuestState.SIZE))

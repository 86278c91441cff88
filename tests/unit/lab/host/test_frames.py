"""The frames of a lab's agent: any cutting, any damage, and frames that no agent sends."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab.host.frames import (
    PAYLOAD_BYTES,
    QEMUS,
    Decoder,
    Frame,
    FrameError,
    encode,
    small_number,
)


def frame(kind: bytes, payload: bytes) -> bytes:
    return encode(kind, 1, payload)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.integers(1, 7))
def test_frames_survive_any_cutting(payloads: list[bytes], size: int) -> None:
    stream = b"".join(frame(b"q", payload) for payload in payloads)
    decoder = Decoder()
    heard = [f for i in range(0, len(stream), size) for f in decoder.feed(stream[i : i + size])]
    assert heard == [Frame(b"q", 1, 0, payload) for payload in payloads]


@given(st.binary(min_size=1, max_size=40), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_is_never_taken_for_a_frame(payload: bytes, at: int, bit: int) -> None:
    stream = bytearray(frame(b"o", payload))
    stream[at % len(stream)] ^= 1 << bit
    try:
        heard = Decoder().feed(bytes(stream))
    except FrameError:
        return
    assert heard == []  # a longer length: it waits for the rest


@pytest.mark.parametrize(
    "strange",
    [
        encode(b"z", 0, b""),  # no such kind
        encode(b"q", QEMUS, b"x"),  # no such program
        encode(b"o", 0, bytes(PAYLOAD_BYTES + 1)),  # longer than any
    ],
    ids=["kind", "number", "size"],
)
def test_a_frame_that_no_agent_sends_is_refused_by_its_header(strange: bytes) -> None:
    """A wrong size would have the rest waited for in vain."""
    decoder = Decoder()
    assert decoder.feed(frame(b"q", b"fine") + strange[:11])
    with pytest.raises(FrameError, match="no frame begins with"):
        decoder.feed(strange[11:12])


@given(st.binary(max_size=12))
def test_a_number_is_read_in_its_bounds_only(said: bytes) -> None:
    plain = re.fullmatch(rb"-?[0-9]+", said) and -64 <= int(said) <= 255
    try:
        assert small_number(said, -64, 255) == int(said)
        assert plain
    except FrameError:
        assert not plain or len(said) > 9

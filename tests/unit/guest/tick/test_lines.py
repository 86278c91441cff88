import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.guest.config import MAX_VCPUS
from orchestrator.guest.lines import UNTOLD, Line, Ready, Refused, Tick
from orchestrator.guest.tick.lines import LINE, parse, render

u32 = st.integers(0, 2**32 - 1)


def read(line: bytes) -> Line | None:
    """Return what a line says; None if it is not believed."""
    match = LINE.search(line)
    assert match is not None
    said = parse(match)
    return said and said[1]


@given(st.lists(u32, min_size=6, max_size=6), st.integers(0, MAX_VCPUS - 1))
@example([1, 2, 3, 4, 0xFFFFFFFF, 5], 0)
def test_a_tick_line_comes_back_as_it_was(fields: list[int], vcpu: int) -> None:
    match = LINE.search(b"noise" + render("T", *fields, vcpu=vcpu) + b"T0 0000")
    assert match
    sequence, spins, high, low, print_cycles, arms = fields
    print_cycles = UNTOLD if print_cycles == 0xFFFFFFFF else print_cycles
    assert parse(match) == (vcpu, Tick(sequence, spins, high << 32 | low, print_cycles, arms))


@given(st.lists(u32, min_size=6, max_size=6), st.data())
def test_no_torn_or_altered_line_is_believed(fields: list[int], data: st.DataObject) -> None:
    line = render("T", *fields)
    at = data.draw(st.integers(0, len(line) - 2))
    # A tail, as a snapshot in mid-line replays it.
    tail = LINE.search(line[at + 1 :])
    assert tail is None or parse(tail) is None
    other = data.draw(st.sampled_from(b"0123456789abcdefTNRC "))
    altered = line[:at] + bytes([other]) + line[at + 1 :]
    match = LINE.search(altered)
    assert altered == line or match is None or parse(match) is None


def test_a_head_and_a_foreign_tail_do_not_make_a_line() -> None:
    one = render("T", 5, 1000, 0, 77, 0, 6)
    other = render("T", 6, 1001, 0, 99, 0, 7)
    for cut in range(1, len(one) - 1):
        match = LINE.search(one[:cut] + other[cut:])
        assert (
            match is None
            or parse(match) is None
            or one[cut:] == other[cut:]
            or (one[:cut] == other[:cut])
        )


def test_fields_have_no_leading_zeros() -> None:
    """Each character costs an exit, so a tick in a quiet period takes few."""
    line = render("T", 0, 0x1C05, 0xF, 0xFFFFFFFF, 0x10, 6)
    assert line.startswith(b"T0 0 1c05 f ffffffff 10 6 ")
    assert LINE.fullmatch(line)
    assert LINE.search(line.replace(b" 1c05", b" 01c05")) is None


def test_lines_that_the_firmware_printed() -> None:
    """The peers of other tests print lines as `render` does, with the same checksum."""
    found = read(b"T0 2 87e 42fb 936a34e 29c536 3 2fa4d c72c 2f691 64e 707adaa5\n")
    assert found == Tick(
        2, 0x87E, 0x42FB << 32 | 0x936A34E, 0x29C536, 3,
        *(units * 1024 for units in (0x2FA4D, 0xC72C, 0x2F691, 0x64E)),
    )  # fmt: skip
    ready = read(b"R0 0 0 5f5e100 6 6 0 0 0 1 0 0 0 0 f796bba 91953b2a\n")
    assert isinstance(ready, Ready)
    assert ready.period_cycles == 0xF796BBA
    assert read(b"T0 2 87e 42fb 936a34e 29c536 3 2fa4d c72c 2f691 64e 707adaa6\n") is None


def test_what_the_guest_refuses_has_words() -> None:
    match = LINE.search(render("B", 7))
    assert match
    said = parse(match)
    assert said is not None
    line = said[1]
    assert isinstance(line, Refused)
    assert line.reason == "the CPU has no TSC-deadline timer"


def test_long_turns_are_counted_in_units_of_1024_cycles() -> None:
    tick = read(render("T", 5, 1000, 1, 77, 10, 6, 8, 5, 2, 1))
    assert tick == Tick(5, 1000, (1 << 32) + 77, 10, 6, 8 * 1024, 5 * 1024, 2 * 1024, 1024)


TURNS = (8, 5, 2, 1)


@pytest.mark.parametrize("turns", [(), TURNS])
@pytest.mark.parametrize("clock", [(), (3, 9)])
@pytest.mark.parametrize(
    ("said", "ahead"),
    [((), None), ((0x7FFFFFFF,), None), ((4,), 5 * 1024), ((0xFFFFFFFD,), -2 * 1024)],
)
def test_the_other_fields_of_a_tick_line(
    turns: tuple[int, ...], clock: tuple[int, ...], said: tuple[int, ...], ahead: int | None
) -> None:
    """Each group of fields is there or not. Both TSCs were rounded down to a unit."""
    tick = read(render("T", 5, 1000, 1, 77, 10, 6, *turns, *clock, *said))
    kvmclock_ns = 3 << 32 | 9 if clock else 0
    cycles = tuple(1024 * units for units in turns) or (0, 0, 0, 0)
    assert tick == Tick(5, 1000, (1 << 32) + 77, 10, 6, *cycles, ahead, kvmclock_ns)


def test_a_tick_line_with_more_fields_is_not_believed() -> None:
    assert read(render("T", 5, 1000, 1, 77, 10, 6, *TURNS, 3, 9, 4, 1)) is None


def test_the_ready_line_ends_with_the_cycles_of_a_period() -> None:
    assert read(render("R", 0, 1, 52_000_000)) == Ready((0, 1), 52_000_000)

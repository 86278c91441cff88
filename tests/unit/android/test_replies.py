"""Answers of the emulator's console, however their bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.android.replies import checked_tag, heartbeat, snapshots, whole_reply


@pytest.mark.parametrize(
    ("received", "silent", "lines", "refusal"),
    [
        (b"OK\r\n", False, (), None),
        (b"heartbeat: 12\r\nOK\r\n", False, ("heartbeat: 12",), None),
        (b"OK: killing emulator, bye bye\r\n", False, (), None),
        # The first `\r\n` was not always there (read-only), nor any line's end (snapshot errors).
        (b'KO: Snapshot save is disabled because "-read-only" was specified\n', True, (),
         'Snapshot save is disabled because "-read-only" was specified'),
        (b"KO: no spaceKO: on the disk", True, (), "no space on the disk"),
        (b"KO: a\r\nKO: b\r\n", True, (), "a b"),
        (b"usage\r\nKO:  bad sub-command\r\n", True, ("usage",), "bad sub-command"),
        # A refusal that an OK follows was a warning.
        (b"KO: slow disk\r\nOK\r\n", True, ("KO: slow disk",), None),
        (b"\xff\xfe\x00KO\r\nOK\r\n", False, ("\ufffd\ufffd\x00KO",), None),
    ],
)  # fmt: skip
def test_a_whole_answer(
    received: bytes, silent: bool, lines: tuple[str, ...], refusal: str | None
) -> None:
    reply = whole_reply(received, silent=silent)
    assert reply is not None
    assert (reply.lines, reply.refusal) == (lines, refusal)


@pytest.mark.parametrize(
    ("received", "silent"),
    [(b"", True), (b"OK", True), (b"NOT OK\r\n", True), (b"heartbeat: 1\r\n", True),
     (b"KO: and more is to co", False), (b"KOALA\r\n", True)],
)  # fmt: skip
def test_an_answer_that_has_not_ended(received: bytes, silent: bool) -> None:
    assert whole_reply(received, silent=silent) is None


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_are_too_odd(received: bytes, silent: bool) -> None:
    reply = whole_reply(received, silent=silent)
    assert reply is None or all("\n" not in line for line in reply.lines)


def test_the_heartbeat() -> None:
    assert heartbeat(["heartbeat: 7"]) == 7
    for odd in ("heartbeat: -1", "heartbeat: 1e9", "heartbeat: " + "9" * 30, "7", ""):
        assert heartbeat([odd]) is None


def test_a_snapshot_is_known_by_its_whole_name() -> None:
    lines = ["List of snapshots present on all disks:", "ID TAG", "-- losttick-1 49 MiB"]
    assert snapshots(lines, "losttick-1")
    assert not snapshots(lines, "losttick")


@pytest.mark.parametrize("tag", ["default_boot", "", "a b", "-x", "a\nkill", "../x", "a" * 65])
def test_no_name_of_somebody_elses_or_of_two_words_is_used(tag: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        checked_tag(tag)


def test_names_of_losttick_are() -> None:
    assert checked_tag("losttick-0a1b2c3d") == "losttick-0a1b2c3d"

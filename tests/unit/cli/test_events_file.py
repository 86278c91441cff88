"""The file of `--events`, whoever reads it."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import events_file
from orchestrator.cli.events_file import ROOM, EventsFile, EventsFileError


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@pytest.fixture(autouse=True)
def quick_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_file, "SETTLE_S", 0.1)


@pytest.fixture
def notes() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    assert len(set(found)) == len(found), "each trouble is noted once"


def line(number: int, size: int = 0) -> bytes:
    return json.dumps({"n": number, "filler": "x" * size}).encode() + b"\n"


def numbers(text: bytes) -> list[Any]:
    """Return the number of each line; the words of a line that has none."""
    found = [json.loads(each) for each in text.splitlines()]
    return [each.get("n", each) for each in found]


def test_lines_wait_for_a_reader_that_comes_late(fifo: Path, notes: list[str]) -> None:
    began = time.monotonic()
    file = EventsFile(fifo, notes.append)
    file.write(line(1))
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file.write(line(2))
    assert numbers(os.read(reader, 65536)) == [1, 2]
    file.close()
    os.close(reader)
    assert [f"nobody reads the events in {fifo} yet" in note for note in notes] == [True]
    assert time.monotonic() - began < 30


def test_a_reader_that_never_comes(fifo: Path, notes: list[str]) -> None:
    file = EventsFile(fifo, notes.append)
    file.write(line(1))
    file.close()
    assert len(notes) == 2
    assert "the last events were not written" in notes[1]


def test_a_reader_that_does_not_read(fifo: Path, notes: list[str]) -> None:
    """Events that don't fit are left out, and the reader finds how many."""
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file = EventsFile(fifo, notes.append)
    for number in range(40):
        file.write(line(number, ROOM // 20))
    assert ["too slow" in note for note in notes] == [True]
    text = b""
    for number in range(100, 200):
        file.write(line(number))
        while True:
            try:
                text += os.read(reader, 1 << 20)
            except BlockingIOError:
                break
    file.close()
    os.close(reader)
    found = numbers(text)
    kept = [each for each in found if isinstance(each, int)]
    (left_out,) = (each for each in found if not isinstance(each, int))
    assert kept == sorted(kept)
    assert kept[-1] == 199
    assert left_out == {"event": "left_out", "events": 140 - len(kept)}
    assert 10 < left_out["events"] < 140


def test_a_reader_that_goes_away_and_another_that_comes(fifo: Path, notes: list[str]) -> None:
    first = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file = EventsFile(fifo, notes.append)
    file.write(line(1))
    os.close(first)
    file.write(line(2))
    file.write(line(3))
    second = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file.write(line(4))
    file.close()
    assert numbers(os.read(second, 65536)) == [2, 3, 4]
    os.close(second)
    assert ["went away" in note for note in notes] == [True]


def test_no_reader_gets_the_rest_of_a_line(fifo: Path, notes: list[str]) -> None:
    first = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file = EventsFile(fifo, notes.append)
    file.write(line(1, 100_000))  # a FIFO takes 64 KiB
    os.close(first)
    file.write(line(2))
    second = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file.write(line(3))
    file.close()
    assert numbers(os.read(second, 65536)) == [2, {"event": "left_out", "events": 1}, 3]
    os.close(second)


def test_a_full_disk(notes: list[str]) -> None:
    file = EventsFile(Path("/dev/full"), notes.append)
    file.write(line(1))
    file.write(line(2))
    file.close()
    assert notes == ["writing events to /dev/full: No space left on device. Some are left out"]


def test_a_file_is_appended_to(tmp_path: Path, notes: list[str]) -> None:
    path = tmp_path / "events"
    path.write_bytes(line(1))
    file = EventsFile(path, notes.append)
    file.write(line(2))
    file.close()
    assert (numbers(path.read_bytes()), notes) == ([1, 2], [])


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EventsFileError, match="for events: Is a directory"):
        EventsFile(tmp_path, print)

"""A host's answers are checked: whatever it says, it can't write elsewhere or fill our disk."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InfraError
from orchestrator.fleet.ssh.reply import (
    MOST_BYTES,
    BusyError,
    Facts,
    FailedThereError,
    File,
    Files,
    JobState,
    ReplyError,
    parse,
    total,
)

SHA = "a" * 64

FACTS = {
    "release": "6.1.0", "boot_id": "b", "time": 1.0, "uid": 0, "folder": "/f", "python": "3.11",
    "kills_at_logout": False,
}  # fmt: skip

STATE = {
    "running": False, "begun": None, "ended": None, "cancelled": False, "tail": "", "boot_id": "b",
    "release": "6.1.0", "time": 1.0,
}  # fmt: skip


def line(**words: object) -> bytes:
    return json.dumps(words).encode()


@pytest.mark.parametrize(
    "path",
    [
        "../x", "a/../../x", "/etc/passwd", "", ".", "a//b", "a/", "a\0b", "a\x1b[31m", "a\nb",
        "x" * 201, "/".join("a" * 9), "a\u202eb", "\ud800",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder_or_can_harm_a_terminal(path: str) -> None:
    with pytest.raises(ReplyError):
        parse(line(path=path, size=1, sha256=SHA), File)


def test_a_path_of_a_run_is_taken() -> None:
    path = "evidence/0001-control-lost/why.txt"
    assert parse(line(path=path, size=1, sha256=SHA), File).path == path


@pytest.mark.parametrize(
    "words",
    [
        {"path": "a", "size": -1, "sha256": SHA},
        {"path": "a", "size": MOST_BYTES + 1, "sha256": SHA},
        {"path": "a", "size": True, "sha256": SHA},
        {"path": "a", "size": "1", "sha256": SHA},
        {"path": "a", "size": 1, "sha256": "../x"},
        {"path": "a", "size": 1, "sha256": SHA, "more": 1},
        {"path": ["a"], "size": 1, "sha256": SHA},
    ],
)
def test_a_file_has_a_size_and_a_digest(words: dict[str, object]) -> None:
    with pytest.raises(ReplyError):
        parse(line(**words), File)


def test_facts_are_those_and_no_others() -> None:
    assert parse(line(**FACTS), Facts).release == "6.1.0"
    for wrong in (
        {"folder": "relative"}, {"folder": "/" * 5000}, {"release": "x" * 301}, {"time": -1.0},
        {"time": float("nan")}, {"uid": "0"}, {"kills_at_logout": 1},
    ):  # fmt: skip
        with pytest.raises(ReplyError):
            parse(line(**{**FACTS, **wrong}), Facts)


def test_what_a_job_printed_is_inert_in_a_sentence() -> None:
    state = parse(line(**{**STATE, "tail": "first\nlast \x1b[2Jwords\r\n \n"}), JobState)
    assert state.last_words == "last \\x1b[2Jwords"
    with pytest.raises(ReplyError):
        parse(line(**{**STATE, "tail": "x" * 10_000}), JobState)


def test_an_error_of_the_host_is_told_without_its_escapes() -> None:
    with pytest.raises(FailedThereError, match=r"no room \\x1b") as caught:
        parse(line(error="no room \x1b" + "x" * 5000), Facts)
    assert len(str(caught.value)) < 1100
    with pytest.raises(BusyError):
        parse(line(error="another run", busy=True), Facts)


@settings(max_examples=30)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: json.dumps(text).encode()))
def test_anything_else_is_refused_in_words(answer: bytes) -> None:
    with pytest.raises(InfraError) as caught:
        parse(answer, Facts, JobState)
    assert str(caught.value).isprintable()


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ReplyError):
        parse(b"[" * 60_000, Facts)


def files(*paths: str, size: int = 1) -> list[File]:
    return [File(path=path, size=size, sha256=SHA) for path in paths]


def test_the_files_of_a_run_are_counted_and_weighed() -> None:
    assert total(files("a", "b/c", size=2), Files(files=2, odd=0)) == 4


@pytest.mark.parametrize(
    ("listed", "count", "said"),
    [
        (files("a", "a"), 2, "twice"),
        (files("a", "a/b"), 2, "also a folder"),
        (files("a/b/c", "a/b"), 2, "also a folder"),
        (files("a"), 2, "names 1 files"),
        (files("a", "b", size=MOST_BYTES // 2 + 1), 2, "at most"),
    ],
)
def test_a_list_of_files_that_can_not_be_is_refused(
    listed: list[File], count: int, said: str
) -> None:
    with pytest.raises(ReplyError, match=said):
        total(listed, Files(files=count, odd=0))

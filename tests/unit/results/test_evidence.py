"""Evidence that is read back. Its folder may come from a stranger."""

import os
from pathlib import Path

import pytest

from orchestrator.results.evidence import MOST_DATA, MOST_TEXT, read_evidence

PLACE = "evidence/0001-host-lost"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / PLACE
    found.mkdir(parents=True)
    return found


@pytest.mark.parametrize(
    "place",
    ["", "evidence", "/etc/ssl", "../evidence/x", "evidence/..", "evidence/x/y", "evidence/.x",
     "evidence/x\n", "evidence/\0"],
)  # fmt: skip
def test_a_place_that_is_no_evidence_folder(tmp_path: Path, place: str) -> None:
    assert read_evidence(tmp_path, place).fault == (
        "the journal names no evidence folder of this run"
    )


def test_a_missing_folder(tmp_path: Path) -> None:
    assert read_evidence(tmp_path, PLACE).fault == f"{PLACE}: No such file or directory"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cell": 1}', "[" * 100_000, '"\\ud800"'])
def test_data_of_another_form(tmp_path: Path, folder: Path, text: str) -> None:
    (folder / "evidence.json").write_text(text)
    found = read_evidence(tmp_path, PLACE)
    assert found.seen is None
    assert found.fault == "evidence.json does not have the form that this losttick writes"


def test_data_without_end(tmp_path: Path, folder: Path) -> None:
    with (folder / "evidence.json").open("wb") as file:
        file.truncate(MOST_DATA + 1)
    assert "more than 8 MiB" in read_evidence(tmp_path, PLACE).fault


def test_links_and_fifos_are_not_followed(tmp_path: Path, folder: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "console.txt").symlink_to(secret)
    os.mkfifo(folder / "trace.txt")
    (folder / "evidence.json").symlink_to(secret)
    found = read_evidence(tmp_path, PLACE)
    assert (found.console, found.trace) == ("", "")
    assert found.fault.startswith("evidence.json: ")


def test_a_folder_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "console.txt").write_text("secret")
    (tmp_path / "evidence").mkdir()
    (tmp_path / PLACE).symlink_to(tmp_path / "elsewhere")
    found = read_evidence(tmp_path, PLACE)
    assert found.console == ""
    assert found.fault


def test_the_end_of_a_long_text_in_any_bytes(tmp_path: Path, folder: Path) -> None:
    (folder / "console.txt").write_bytes(b"x" * (10 << 20) + b"\xff\x00end")
    found = read_evidence(tmp_path, PLACE)
    assert found.console.endswith("x\\xff\0end")
    assert len(found.console) <= MOST_TEXT + 3

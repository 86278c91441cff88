"""A folder in which a program that is not trusted may put what it likes."""

import os
from pathlib import Path

import pytest

from orchestrator.process import held_folder
from orchestrator.process.held_folder import HeldFolder
from tests.support.foreign_user import OtherUser


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"saved")
    assert HeldFolder(tmp_path).read("state") == b"saved"


def test_a_file_with_holes_is_not_read_into_memory(tmp_path: Path) -> None:
    """It takes no room on the disk, and would take all of the memory."""
    with (tmp_path / "state").open("wb") as file:
        os.truncate(file.fileno(), 1 << 43)
    with pytest.raises(OSError, match="larger than half of this computer's memory"):
        HeldFolder(tmp_path).read("state")


def test_a_file_that_grows_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_folder, "MOST_BYTES", 4)
    (tmp_path / "state").write_bytes(b"1234")
    assert HeldFolder(tmp_path).read("state") == b"1234"
    (tmp_path / "state").write_bytes(b"12345")
    with pytest.raises(OSError, match="larger than half"):
        HeldFolder(tmp_path).read("state")


@pytest.mark.parametrize("what", ["link", "fifo", "folder"])
def test_what_is_no_file_is_not_read(tmp_path: Path, what: str) -> None:
    place = tmp_path / "state"
    if what == "link":
        place.symlink_to("/etc/passwd")
    elif what == "fifo":
        os.mkfifo(place)
    else:
        place.mkdir()
    with pytest.raises(OSError):
        HeldFolder(tmp_path).read("state")


@pytest.mark.parametrize("there", ["link", "file", "loose link"])
def test_a_file_is_made_and_nothing_is_written_through_what_is_there(
    tmp_path: Path, there: str
) -> None:
    (folder := tmp_path / "folder").mkdir()
    (victim := tmp_path / "victim").write_bytes(b"as it was")
    if there == "file":
        os.link(victim, folder / "given")
    else:
        (folder / "given").symlink_to(victim if there == "link" else tmp_path / "new")
    held = HeldFolder(folder)
    with pytest.raises(FileExistsError):
        held.write("given", b"other")
    held.write("more", b"given")
    assert (held.read("more"), victim.read_bytes()) == (b"given", b"as it was")
    assert not (tmp_path / "new").exists()


def test_a_folder_of_another_user_is_not_held(other_user: OtherUser) -> None:
    with pytest.raises(PermissionError, match="another user's folder"):
        HeldFolder(other_user.home)

"""A program runs in any folder, whatever its name, but in none where others exchange it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import orchestrator
from orchestrator.process import folder
from orchestrator.process.folder import NoTemporaryFolderError, base_folder, temporary_folder
from orchestrator.process.supervised import supervise
from tests.support.foreign_user import OtherUser
from tests.support.needs import not_applicable

ODD = ["new\nline", "a b", "a,b=c", "quote'\"", "%s{}$HOME`", "-x", "ä€", "\udcff\udc80", "x" * 200]


@pytest.mark.parametrize("name", ODD)
async def test_a_program_runs_in_a_folder_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = tmp_path / name
    place.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    monkeypatch.setattr(folder, "ROOM_BYTES", 0)
    heard = bytearray()
    program = await supervise(
        ["/bin/cat", "words"], {"words": b"as given"}, what="cat", on_output=heard.extend
    )
    assert program.folder.parent == place
    assert (await program.exited()).code == 0
    assert heard == b"as given"
    assert list(place.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "ROOM_BYTES", 1)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    without = base_folder()
    (usable := tmp_path / "usable").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(usable))
    assert base_folder() == usable

    (file := tmp_path / "file").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    for unusable in ("", "usable", "/nowhere", str(file), "/" + "x/" * 5000, "/proc"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", unusable)
        assert base_folder() == without, unusable
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(usable))
    monkeypatch.setattr(folder, "ROOM_BYTES", 1 << 62)
    assert base_folder() == folder.temporary_folder(), "no disk has this much room"


#: Folders where others can exchange what root or this user makes, by how they come to be.
OPEN = {
    "everybody's": "mkdir there; chmod 777 there",
    "everybody's above": "mkdir -p above/there; chmod 777 above; mv above up; ln -s up/there there",
    "a group's": "mkdir there; chgrp 61997 there; chmod 770 there",
    "another's above": "mkdir -p up/there; chown 61999 up; ln -s up/there there",
    "another's": "mkdir there; chown 61999 there; chmod 700 there",
    "another's, sticky": "mkdir there; chown 61999 there; chmod 1777 there",
}


def made(place: Path, how: str) -> Path:
    """Return a folder that a shell made in its way."""
    subprocess.run(["sh", "-ec", how], cwd=place, check=True)
    return place / "there"


@pytest.fixture
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer whose usual folders are out of the way, and have any room."""
    monkeypatch.setattr(folder, "ROOM_BYTES", 0)
    monkeypatch.setattr(tempfile, "tempdir", None)
    for variable in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("how", OPEN)
def test_a_folder_that_others_can_write_to_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual: None, other_user: OtherUser, how: str
) -> None:
    there = made(tmp_path, OPEN[how])
    for variable, found in (("XDG_RUNTIME_DIR", base_folder), ("TMPDIR", temporary_folder)):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(tempfile, "tempdir", None)
        without = found()
        monkeypatch.setenv(variable, str(there))
        monkeypatch.setattr(tempfile, "tempdir", None)
        assert found() == without


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o1777])
def test_a_folder_of_this_user_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual: None, mode: int
) -> None:
    (place := tmp_path / "place").mkdir()
    place.chmod(mode)
    (link := tmp_path / "link").symlink_to(place)
    for each in (place, link):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(each))
        monkeypatch.setenv("TMPDIR", str(each))
        monkeypatch.setattr(tempfile, "tempdir", None)
        assert (base_folder(), temporary_folder()) == (place, place), "whoever changes the link"


def test_a_computer_without_a_folder_of_its_own_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual: None
) -> None:
    there = made(tmp_path, OPEN["everybody's"])
    monkeypatch.setattr(folder, "_USUAL", ())
    monkeypatch.setenv("TMPDIR", str(there))
    with pytest.raises(NoTemporaryFolderError, match=f"{there}: every user can .*TMPDIR.*sticky"):
        temporary_folder()


def test_a_user_namespace_has_folders_whose_owner_is_outside() -> None:
    """There, /tmp belongs to nobody: no number inside stands for the root outside."""
    script = "from orchestrator.process.folder import *; print(temporary_folder(), base_folder())"
    ids = ["setpriv", "--reuid=65533", "--clear-groups"] if os.geteuid() == 0 else []
    python = "/usr/bin/python3" if ids else sys.executable  # root's own may be root's alone
    start = [*ids, "unshare", "--user", "--map-root-user", python, "-B", "-c"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(orchestrator.__file__).parents[1])}

    def inside(script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*start, script], capture_output=True, text=True, check=False, cwd="/", env=env
        )

    if inside("import orchestrator.process.exit").returncode != 0:
        not_applicable("no user namespace can be made here, or no Python be run in one")
    done = inside(script)
    assert done.stdout.startswith("/tmp /"), done.stderr

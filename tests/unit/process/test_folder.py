"""A program runs in any folder, whatever its name."""

from pathlib import Path

import pytest

from orchestrator.process import folder
from orchestrator.process.folder import base_folder
from orchestrator.process.supervised import supervise

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

"""A current folder that was removed meanwhile: a command with whole paths does not need it."""

from pathlib import Path

import pytest

from tests.support.command_here import losttick
from tests.support.golden_reports import laid

#: Commands with whole paths, which need no current folder.
ELSEWHERE = [
    "bundle RUN -o OUT --anonymous",
    "bundle RUN -o OUT",
    "report RUN --html OUT",
    "report RUN --junit -",
    "report --index RUNS",
    "show RUN",
    "explain RUN",
    "compare RUN RUNS/cells --html OUT",
    "history add RUN --db OUT",
]


@pytest.mark.parametrize("command", ELSEWHERE)
def test_a_current_folder_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    laid("cells", tmp_path / "runs")
    run = laid("real-kvm", tmp_path / "runs")
    for name, path in (("RUNS", run.parent), ("RUN", run), ("OUT", tmp_path / "made")):
        command = command.replace(name, str(path))
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = losttick(*command.split())
    monkeypatch.undo()
    (tmp_path / "made").unlink(missing_ok=True)
    monkeypatch.chdir(tmp_path)
    again = losttick(*command.split())
    assert (done.returncode, done.stderr) == (again.returncode, again.stderr)


@pytest.mark.parametrize("command", ["report run --junit -", "compare a/b c/d", "show run"])
def test_a_path_from_a_folder_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = losttick(*command.split())
    monkeypatch.undo()
    assert done.returncode == 2
    assert "a fault in losttick" not in done.stderr

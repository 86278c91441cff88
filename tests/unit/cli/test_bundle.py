"""`losttick bundle`, as it is called and printed."""

import json
import re
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.host.boot import Boot
from orchestrator.journal.file import JOURNAL
from tests.support.run_folders import make_run_folder


def losttick(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str
) -> tuple[object, str, str]:
    monkeypatch.setattr("sys.argv", ["losttick", *args])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, *capsys.readouterr()


def test_a_bundle_is_shown_as_its_folder_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = make_run_folder("clean", tmp_path / "run"), tmp_path / "b.tar.zst"
    code, said, _ = losttick(capsys, monkeypatch, "bundle", str(folder), "-o", str(target))
    assert code == 0
    assert re.match(r"[456] files, ", said)  # the reports that can be made here
    for command in ("show", "explain"):
        code, shown, _ = losttick(capsys, monkeypatch, command, str(target))
        _, expected, _ = losttick(capsys, monkeypatch, command, str(folder))
        assert code == 0
        assert shown.partition("journal:")[0] == expected.partition("journal:")[0]


def test_nothing_is_written_if_there_is_no_run_or_no_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "b.tar.zst"
    code, _, fault = losttick(capsys, monkeypatch, "bundle", str(tmp_path), "-o", str(target))
    assert code == 2
    assert "reading the run in" in fault
    folder = make_run_folder("clean", tmp_path / "run")
    nowhere = tmp_path / "missing" / "b.tar.zst"
    code, _, fault = losttick(capsys, monkeypatch, "bundle", str(folder), "-o", str(nowhere))
    assert code == 2
    assert "Make it first" in fault
    code, _, fault = losttick(
        capsys, monkeypatch, "bundle", str(folder), "-o", str(target), "--hide", "x"
    )
    assert code == 2
    assert "--anonymous" in fault
    assert not list(tmp_path.rglob("*.zst"))


def test_a_run_of_another_computer_is_anonymous_only_with_names_to_hide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = make_run_folder("clean", tmp_path / "run"), tmp_path / "b.tar.zst"
    journal = folder / JOURNAL
    first, rest = journal.read_text().split("\n", 1)
    args = ("bundle", str(folder), "-o", str(target), "--anonymous")
    here = Boot("", "1" * 32)
    monkeypatch.setattr("orchestrator.results.bundling.origin.boot_here", lambda: here)

    def made_on(machine: str) -> None:
        fields = json.loads(first) | {"machine": machine}
        journal.write_text(json.dumps(fields) + "\n" + rest)

    made_on("2" * 32)
    code, _, fault = losttick(capsys, monkeypatch, *args)
    assert code == 2
    assert "made on another computer" in fault
    assert not target.exists()
    code, _, fault = losttick(capsys, monkeypatch, *args, "--hide", "build01")
    assert code == 0
    assert "note: the run was made on another computer" in fault
    code, _, fault = losttick(capsys, monkeypatch, "bundle", str(target), *args[2:])
    assert (code, fault) == (0, "")  # it is anonymous already
    made_on("")
    code, _, fault = losttick(capsys, monkeypatch, *args)
    assert code == 0
    assert "on an unknown computer" in fault
    made_on(here.machine)
    code, _, fault = losttick(capsys, monkeypatch, *args)
    assert (code, fault) == (0, "")

"""`losttick explain`, as it is printed."""

import re
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.journal.file import JOURNAL
from tests.support.run_folders import make_run_folder


def explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str
) -> tuple[object, str, str]:
    monkeypatch.setattr("sys.argv", ["losttick", "explain", *args])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, *capsys.readouterr()


def test_the_user_is_the_reader_unless_another_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(make_run_folder("affected", tmp_path))
    code, said, _ = explained(capsys, monkeypatch, folder)
    assert code == 0
    assert said.startswith("This computer's Linux kernel has")
    assert "\n    sudo modprobe -r kvm_intel\n" in said
    assert explained(capsys, monkeypatch, folder, "--for", "user")[1] == said
    _, said, _ = explained(capsys, monkeypatch, folder, "--for", "ci")
    assert said.startswith("Exit code 1 (`affected`): ")
    _, said, _ = explained(capsys, monkeypatch, folder, "--for", "developer")
    assert "\nCommits\n967235d32032 (" in said
    code, _, fault = explained(capsys, monkeypatch, folder, "--for", "nobody")
    assert code == 2
    assert "'user', 'ci', 'developer'" in fault


def test_a_folder_without_a_run_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said, fault = explained(capsys, monkeypatch, str(tmp_path))
    assert (code, said) == (2, "")
    assert f"reading the run in {tmp_path}" in fault


def test_text_of_a_host_can_not_do_anything_to_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run_folder("affected", tmp_path)
    journal = folder / JOURNAL
    text = journal.read_text()
    journal.write_text(text.replace("Fake Xeon", "X\\u001b[2J[red]\\u202e\\u0000"))
    assert journal.read_text() != text
    for reader in ("user", "ci", "developer"):
        code, said, _ = explained(capsys, monkeypatch, str(folder), "--for", reader)
        assert code == 0
        assert not re.search("[\x1b\x00\u202e]", said)
    assert "\\x1b[2J[red]\\u202e\\x00" in said.replace("\n", "")

"""Logs of consoles: bounded, each and all of them."""

from pathlib import Path

import pytest

from orchestrator.journal import console_log
from orchestrator.journal.console_log import ConsoleLogs
from orchestrator.journal.out_folder import OutFolder


def content(tmp_path: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((tmp_path / "console").iterdir())}


def test_a_log_keeps_what_came_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_log, "FILE_BYTES", 10)
    with OutFolder(tmp_path) as out:
        log = ConsoleLogs(out, "console").create("instance-0001.log")
        for number in range(10):
            log.write(f"line{number}\n".encode() * (2 if number < 2 else 1))
        log.close()
    assert content(tmp_path) == {
        "instance-0001.earlier.log": "line8\n", "instance-0001.log": "line9\n"
    }  # fmt: skip


def test_a_piece_that_is_too_large_is_kept_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_log, "FILE_BYTES", 4)
    with OutFolder(tmp_path) as out:
        log = ConsoleLogs(out, "console").create("one.log", buffered=False)
        log.write(b"long enough")
        assert content(tmp_path) == {"one.log": "long enough"}
        log.write(b"more")
        log.close()
    assert content(tmp_path) == {"one.earlier.log": "long enough", "one.log": "more"}


def test_the_oldest_logs_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_log, "KEPT_LOGS", 3)
    monkeypatch.setattr(console_log, "FILE_BYTES", 1)
    with OutFolder(tmp_path) as out:
        for session in range(2):  # a resumed run goes on with the logs of the one before
            logs = ConsoleLogs(out, "console")
            for number in (8, 9, 10) if session == 0 else (11,):
                log = logs.create(f"instance-{number}.log")
                log.write(b"a")
                log.write(b"b")
                log.close()
    assert set(content(tmp_path)) == {
        f"instance-{number}{part}.log" for number in (9, 10, 11) for part in ("", ".earlier")
    }


def test_a_log_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "console").mkdir()
    (tmp_path / "console" / "one.log").write_text("precious")
    with OutFolder(tmp_path) as out, pytest.raises(FileExistsError):
        ConsoleLogs(out, "console").create("one.log")
    assert content(tmp_path) == {"one.log": "precious"}

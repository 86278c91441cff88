import sys
from pathlib import Path

import pytest

from orchestrator.process.own_command import own_command


def test_the_command_is_named_so_that_sudo_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "a clone" / ".venv" / "bin" / "losttick"
    script.parent.mkdir(parents=True)
    script.touch()
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert own_command() == f"'{script}'"
    monkeypatch.chdir(script.parents[2])
    monkeypatch.setattr(sys, "argv", [".venv/bin/losttick"])
    assert own_command() == f"'{script}'"
    monkeypatch.setattr(sys, "argv", ["/clone/orchestrator/__main__.py"])
    assert own_command() == f"{sys.executable} -m orchestrator"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest"])
    assert own_command() == "losttick"

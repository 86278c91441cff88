"""What a terminal, or the log of a CI job, may be told."""

import pytest
from rich.console import Console

from orchestrator.cli.live import Show
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import Styled, say, say_error

#: Commands of GitHub's runner, as a guest or a QEMU could print them.
HOSTILE = "QEMU said: ::stop-commands::x ##[add-mask]y"


@pytest.mark.parametrize("in_github", [True, False])
def test_a_step_of_github_actions_is_told_no_command(
    in_github: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true" if in_github else "")
    screen = Screen(Console(width=20))
    screen.line(HOSTILE)
    screen.line(Styled(HOSTILE, "bold"))
    screen.prose(HOSTILE)
    say(HOSTILE)
    say_error(HOSTILE)
    with Show(0.95) as show:
        show.say(HOSTILE)
    seen = capsys.readouterr()
    for text in (seen.out, seen.err):
        assert ("::stop" in text, "##[add" in text) == (not in_github, not in_github)
    shown = [line.strip() for line in seen.out.splitlines()]
    assert any(line.startswith("::") for line in shown) is not in_github, "wrapped to its begin"

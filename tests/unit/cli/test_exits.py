"""Exit codes of verdicts and errors."""

import json

import pytest
import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits, verdict_exit
from orchestrator.errors import InfraError, InputError, UnfitError
from orchestrator.verdict.verdict import Verdict


@pytest.mark.parametrize(
    ("verdict", "code", "after_a_failure"),
    [
        (Verdict.CLEAN, 0, 4),
        (Verdict.AFFECTED, 1, 1),
        (Verdict.ANOMALOUS, 1, 1),
        (Verdict.INCONCLUSIVE, 3, 4),
        (Verdict.SKIPPED, 3, 4),
    ],
)
def test_each_verdict_has_its_code(verdict: Verdict, code: int, after_a_failure: int) -> None:
    assert verdict_exit(verdict) == code
    assert verdict_exit(verdict, failed=True) == after_a_failure


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("bad"), 2), (UnfitError("bad"), 3), (InfraError("bad"), 4),
        (ValueError("bad"), 4), (KeyboardInterrupt(), 130),
    ],
)  # fmt: skip
def test_each_error_has_its_code(error: BaseException, code: int) -> None:
    with pytest.raises(typer.Exit) as caught, errors_to_exits(as_json=False):
        raise error
    assert caught.value.exit_code == ExitCode(code)


def test_an_error_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), errors_to_exits(as_json=True):
        raise InfraError("QEMU said:\n\x1b[2J\x1b]0;owned\x07")
    said = capsys.readouterr()
    assert said.err == "losttick: QEMU said:\n\\x1b[2J\\x1b]0;owned\\x07\n"
    assert json.loads(said.out) == {
        "verdict": None, "error": "QEMU said:\n\x1b[2J\x1b]0;owned\x07",
    }  # fmt: skip


def test_a_file_that_is_missing_was_not_written_to(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), errors_to_exits(as_json=False):
        open("/none/such.c").close()  # noqa: PTH123  # any OSError with a file will do
    assert "using /none/such.c: No such file" in capsys.readouterr().err

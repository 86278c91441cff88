"""Exit codes of verdicts and errors."""

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from orchestrator.cli.exits import ExitCode, FailOn, errors_to_exits, result_exit
from orchestrator.errors import InfraError, InputError, UnfitError
from orchestrator.verdict.verdict import Ended, Verdict

AFFECTED, ODD, FAILED, OPEN, SKIPPED, CLEAN = (
    Ended(Verdict.AFFECTED), Ended(Verdict.ANOMALOUS), Ended(Verdict.INCONCLUSIVE, failed=True),
    Ended(Verdict.INCONCLUSIVE), Ended(Verdict.SKIPPED), Ended(Verdict.CLEAN),
)  # fmt: skip


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (CLEAN, 0), (AFFECTED, 1), (SKIPPED, 3), (FAILED, 4), (ODD, 5), (OPEN, 6),
        (replace(AFFECTED, failed=True), 1), (replace(ODD, failed=True), 5),
        (replace(SKIPPED, failed=True), 4),
    ],
)  # fmt: skip
def test_each_verdict_has_its_code(ended: Ended, code: int) -> None:
    assert result_exit([ended]) == code


def test_the_gravest_cell_decides() -> None:
    order = [AFFECTED, ODD, FAILED, OPEN, SKIPPED, CLEAN]
    for place, ended in enumerate(order):
        for others in itertools.permutations(order[place:], 2):
            assert result_exit([*others, ended]) == result_exit([ended])
    assert result_exit([]) == 0


def test_a_job_may_want_only_some_kinds_red() -> None:
    kinds = dict(zip(FailOn, (AFFECTED, ODD, FAILED, OPEN, SKIPPED), strict=True))
    for kind, ended in kinds.items():
        assert result_exit(kinds.values(), [kind]) == result_exit([ended]) != 0
        others = [each for each in (*kinds.values(), CLEAN) if each is not ended]
        assert result_exit(others, [kind]) == 0
    assert result_exit([SKIPPED, OPEN, CLEAN], [FailOn.SKIPPED, FailOn.INCONCLUSIVE]) == 6


def test_the_docs_have_the_table_of_the_code() -> None:
    text = (Path(__file__).parents[3] / "docs/results.md").read_text()
    table = text.partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    codes = {int(found) for found in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert codes - {70} == set(ExitCode), "70 is that of ./bootstrap"
    for kind in FailOn:
        assert f"`{kind}`" in table


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("bad"), 2), (UnfitError("bad"), 3), (InfraError("bad"), 4),
        (ValueError("bad"), 4), (KeyboardInterrupt(), 130), (BrokenPipeError(), 4),
    ],
)  # fmt: skip
def test_each_error_has_its_code(error: BaseException, code: int) -> None:
    with pytest.raises(typer.Exit) as caught, errors_to_exits(as_json=False):
        raise error
    assert caught.value.exit_code == ExitCode(code)


@pytest.mark.parametrize(
    ("error", "code"),
    [(InfraError("bad"), 0), (UnfitError("bad"), 0), (InputError("bad"), 2), (ValueError("x"), 4),
     (KeyboardInterrupt(), 130)],
)  # fmt: skip
def test_a_job_that_wants_only_affected_still_hears_of_a_mistake(
    error: BaseException, code: int
) -> None:
    only = [FailOn.AFFECTED]
    with pytest.raises(typer.Exit) as caught, errors_to_exits(as_json=False, fail_on=only):
        raise error
    assert caught.value.exit_code == code


def test_an_error_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), errors_to_exits(as_json=True):
        raise InfraError("QEMU said:\n\x1b[2J\x1b]0;owned\x07")
    said = capsys.readouterr()
    assert said.err == "losttick: QEMU said:\n  \\x1b[2J\\x1b]0;owned\\x07\n"
    assert json.loads(said.out) == {
        "verdict": None, "error": "QEMU said:\n\x1b[2J\x1b]0;owned\x07",
    }  # fmt: skip


def test_a_file_that_is_missing_was_not_written_to(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), errors_to_exits(as_json=False):
        open("/none/such.c").close()  # noqa: PTH123  # any OSError with a file will do
    assert "using /none/such.c: No such file" in capsys.readouterr().err


def test_json_says_whether_the_subject_is_at_fault(capsys: pytest.CaptureFixture[str]) -> None:
    class SubjectError(InfraError):
        of_subject = True

    for error, more in ((SubjectError("no build"), {"untestable": True}), (InfraError("no"), {})):
        with pytest.raises(typer.Exit), errors_to_exits(as_json=True):
            raise error
        printed = json.loads(capsys.readouterr().out)
        assert printed == {"verdict": None, "error": str(error), **more}

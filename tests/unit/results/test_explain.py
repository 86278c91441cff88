"""Explanations for the user, for a CI job and for a developer of KVM."""

import shlex
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.jargon import jargon
from orchestrator.cli.commands import LOSTTICK, Command
from orchestrator.results.exit_code import result_exit
from orchestrator.results.explain import Reader, explain, first_paragraph
from orchestrator.results.report import Report, read_report
from orchestrator.verdict.verdict import Ended, Verdict
from tests.support.reports import commands, probe, prose, turned
from tests.support.run_folders import OLD_JOURNALS, make_run_folder


@pytest.fixture(params=OLD_JOURNALS)
def report(request: pytest.FixtureRequest, tmp_path: Path) -> Report:
    return read_report(make_run_folder(request.param, tmp_path))


@pytest.fixture
def affected(tmp_path: Path) -> Report:
    return read_report(make_run_folder("affected", tmp_path / "affected"))


def test_every_reader_gets_text_for_every_run_and_the_user_no_jargon(report: Report) -> None:
    for verdict in Verdict:
        found = turned(report, verdict) if verdict is not report.verdict else report
        for reader in Reader:
            sections = explain(found, reader)
            assert all(each.blocks for each in sections)
            assert prose(sections).strip()
        said = explain(found, Reader.USER)
        assert jargon(prose(said)) == []
        assert said[0].blocks == (first_paragraph(found),)


@cache
def parser(function: str) -> Any:
    """Return what reads the options of a command, `module:name`."""
    module, _, name = function.partition(":")
    app = typer.Typer()
    app.command()(getattr(import_module(module), name))
    return get_command(app)


def parsed(line: str) -> None:
    """Parse a command of losttick as the shell and losttick do; do not run it."""
    entry, words = LOSTTICK, shlex.split(line)[1:]
    while not isinstance(entry, Command):
        found = entry.commands[words.pop(0)]
        if isinstance(found, Command):
            parser(found.function).make_context(line, words)
            return
        entry = found


def test_every_command_of_losttick_that_is_recommended_can_be_given(report: Report) -> None:
    lines = {
        line
        for verdict in (report.verdict, Verdict.AFFECTED, Verdict.INCONCLUSIVE)
        for reader in Reader
        for line in commands(explain(turned(report, verdict), reader))
    }
    for line in lines:
        if line.startswith("losttick"):
            parsed(line)
    assert any(line.startswith("losttick lab run") for line in lines)


def test_the_user_of_an_affected_computer_gets_the_exact_commands(affected: Report) -> None:
    lines = commands(explain(affected))
    assert lines.index("sudo modprobe -r kvm_intel") < lines.index(
        "sudo modprobe kvm_intel enable_apicv=0"
    )
    assert (
        "echo 'options kvm_intel enable_apicv=0' | "
        "sudo tee /etc/modprobe.d/losttick-kvm_intel.conf" in lines
    )
    assert "emulator -avd NAME -no-snapshot-load" in lines
    said = prose(explain(affected))
    assert "First stop all virtual machines" in said
    assert "It lasts until this computer runs a kernel that has the fix" in said


def test_an_interrupted_run_is_continued_where_it_is(tmp_path: Path) -> None:
    folder = make_run_folder("interrupted-early", tmp_path / "a run; rm x")
    (line,) = commands(explain(read_report(folder), Reader.CI))
    assert shlex.split(line) == ["losttick", "run", "--resume", str(folder)]
    parsed(line)


@pytest.mark.parametrize("verdict", [Verdict.ANOMALOUS, Verdict.CLEAN, Verdict.INCONCLUSIVE])
def test_if_it_is_not_the_bug_the_user_learns_what_else_it_may_be(
    verdict: Verdict, tmp_path: Path
) -> None:
    report = turned(read_report(make_run_folder("pending", tmp_path)), verdict)
    sections = explain(report)
    said = prose(sections)
    for cause in ("another computer", "version of the emulator", "graphics card", "offline"):
        assert cause in said
    assert "emulator -avd NAME -no-snapshot-load" in commands(sections)
    assert not any("modprobe" in line for line in commands(sections))


def test_a_developer_gets_each_commit_with_its_subject(affected: Report) -> None:
    said = prose(explain(affected, Reader.DEVELOPER))
    assert [each.hash for each in APICV_BUG.commits] == [
        "967235d32032", "8e6ed96cdd50", "9cfec6d097c6", "e800decd9c0a",
    ]  # fmt: skip
    for commit in APICV_BUG.commits:
        assert f'{commit.hash} ("{commit.subject}") {commit.role}' in said
    assert "its loads lost the timer. The APICv bug does that, and the narrow race does not" in said
    assert "losttick run --accel kvm" in " ".join(commands(explain(affected, Reader.DEVELOPER)))


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (
            ((0, 0), (1, 100), (1_000_000, 0)),
            "this is the narrow race, and not the APICv bug: KVM_SET_LAPIC alone lost 100 of 100 "
            "at TMCCT 1 ns.",
        ),
        (
            ((0, 100), (1, 100), (1_000_000, 0)),
            "this is the APICv bug, and not the narrow race: KVM_SET_LAPIC alone lost 100 of 100 "
            "at TMCCT 0 ns, 100 of 100 at TMCCT 1 ns.",
        ),
        (((0, 100),), "`--tmcct 0 --tmcct 1 --tmcct 1000000` tell which bug this is."),
        (((0, 0), (1, 0), (1_000_000, 0)), ""),
    ],
)
def test_the_narrow_race_is_told_apart(lost: tuple[tuple[int, int], ...], words: str) -> None:
    said = prose(explain(probe(*lost), Reader.DEVELOPER))
    assert words in said
    assert ("967235d32032" in said) is bool(words)
    counted = "; ".join(f"{count} of 100 at TMCCT {tmcct} ns" for tmcct, count in lost)
    assert counted in said


@pytest.mark.parametrize(
    ("verdict", "failed", "interrupted", "words"),
    [
        (Verdict.AFFECTED, False, None, "No. The loss was diagnosed"),
        (Verdict.AFFECTED, False, "a signal stopped it", "No. The loss was diagnosed"),
        (Verdict.ANOMALOUS, False, None, "No. Ticks went wrong"),
        (Verdict.CLEAN, False, None, "No: there is nothing to retry"),
        (Verdict.INCONCLUSIVE, False, None, "No. Nothing failed and the host had time"),
        (Verdict.INCONCLUSIVE, True, None, "Once. If it fails again"),
        (Verdict.INCONCLUSIVE, False, "a signal stopped it", "Yes: continue the run"),
        (Verdict.SKIPPED, False, None, "No: the host lacks the same"),
    ],
)
def test_a_job_learns_whether_to_retry(
    verdict: Verdict, failed: bool, interrupted: str | None, words: str, tmp_path: Path
) -> None:
    report = read_report(make_run_folder("pending", tmp_path))
    (cell,) = report.result.cells  # type: ignore[union-attr]  # it is a run
    counts = replace(cell.counts, failure="QEMU failed" if failed else None)
    result = replace(report.result, cells=[replace(cell, verdict=verdict, counts=counts)])
    (case,) = report.cases
    cases = (replace(case, ended=Ended(verdict, failed)),)
    report = replace(
        report, verdict=verdict, result=replace(result, verdict=verdict), cases=cases,
        interrupted=interrupted,
    )  # fmt: skip
    opening, retry, *_ = explain(report, Reader.CI)
    assert words in str(retry.blocks[0])
    code = int(result_exit(report.result.ends))
    assert str(opening.blocks[0]).startswith(f"Exit code {code} (`{verdict}`): ")


def test_a_job_whose_host_went_down_is_not_told_to_resume(tmp_path: Path) -> None:
    cut = read_report(make_run_folder("interrupted-early", tmp_path))
    _, retry, *_ = explain(cut, Reader.CI)
    assert str(retry.blocks[0]).startswith("Yes: continue the run.")
    opening, retry, *_ = explain(replace(cut, went_down="in trial 3 of a cell"), Reader.CI)
    assert "The host went down in trial 3 of a cell." in prose([opening])
    assert str(retry.blocks[0]).startswith("No: look at why the host went down first.")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("too-few", "No. Nothing failed and the host had time"),
        ("no-control", "No. Nothing failed and the host had time"),
        ("unknown", "Once, when the host has nothing else to do. If that"),
        ("missed", "Once, when the host has nothing else to do. If that"),
        ("real-cells", "Once, when the host has nothing else to do"),
    ],
)
def test_a_job_retries_what_the_load_of_the_host_spoilt(
    name: str, words: str, tmp_path: Path
) -> None:
    report = read_report(make_run_folder(name, tmp_path))
    assert report.verdict is Verdict.INCONCLUSIVE
    _, retry, *_ = explain(report, Reader.CI)
    assert words in str(retry.blocks[0])

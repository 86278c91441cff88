"""An output that can't be written hides no finding, and is no success: whichever command it is."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import typer

from orchestrator.cli.exits import FailOn, errors_to_exits
from orchestrator.errors import LosttickError
from orchestrator.fleet.begin import begin
from orchestrator.fleet.load import load_fleet
from orchestrator.journal.file import JournalError, LostJournalError
from orchestrator.results.outputs.github import SUMMARY
from orchestrator.results.outputs.table import OUTPUTS
from orchestrator.results.outputs.target import TargetError
from tests.support.command_here import losttick, report
from tests.support.fake_fleet import FLEET, fleet_file
from tests.support.golden_reports import laid
from tests.support.made_history import night
from tests.support.made_runs import exactly, losing, make_run, other
from tests.support.small_disk import SmallDisk, small_disk

__all__ = ["small_disk"]

#: A full disk that everybody has.
FULL = Path("/dev/full")

#: The code of each run alone, with `--fail-on`, and when its output can't be written.
CODES = [
    ("affected", (), 1),
    ("affected", ("--fail-on", "affected"), 1),
    ("affected", ("--fail-on", "skipped"), 4),
    ("skipped", (), 4),
    ("skipped", ("--fail-on", "affected"), 4),
    ("unknown", (), 4),
    ("unknown", ("--fail-on", "affected"), 4),
]


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize(("name", "options", "code"), CODES)
def test_a_report_on_a_full_disk(
    kind: str, name: str, options: Sequence[str], code: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(SUMMARY, str(FULL))
    target = (FULL,) if OUTPUTS[kind].file else ()
    done = report(laid(name, tmp_path), f"--{kind}", *target, *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert "No space left on device" in done.stderr


def test_the_other_outputs_are_written_all_the_same(tmp_path: Path) -> None:
    run, good = laid("affected", tmp_path), tmp_path / "good"
    done = report(run, "--junit", FULL, "--markdown", good, "--ktap", "-")
    assert done.returncode == 1
    assert f"markdown: {good}" in done.stderr
    assert "junit: " not in done.stderr
    assert done.stdout.startswith("KTAP version 1")
    assert good.read_text()


@pytest.mark.parametrize(("name", "code"), [("affected", 1), ("skipped", 4), (None, 4)])
@pytest.mark.parametrize("options", [(), ("--fail-on", "affected")])
def test_an_index_on_a_full_disk(
    small_disk: Callable[[int], SmallDisk], tmp_path: Path, name: str | None, code: int,
    options: Sequence[str],
) -> None:  # fmt: skip
    disk = small_disk(2048)
    laid("lab", disk.path)
    disk.fill()
    run = (laid(name, tmp_path), "--junit", tmp_path / "junit") if name else ()
    done = report(*run, "--index", disk.path, *options)
    assert done.returncode == code
    assert f"{disk.path}/index.html: No space left on device" in done.stderr
    assert "index: " not in done.stdout
    assert not (disk.path / "index.html").exists()


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize(
    ("rate", "trials", "options", "code"),
    [
        (0.1, 299, (), 1),
        (0.1, 299, ("--fail-on", "cant-tell"), 4),
        (0, 40, (), 4),
        (0, 299, (), 4),
    ],
)
def test_a_comparison_on_a_full_disk(
    tmp_path: Path, rate: float, trials: int, options: Sequence[str], code: int, form: Sequence[str]
) -> None:
    clean = make_run(tmp_path / "clean", losing(0))
    second = make_run(tmp_path / "second", losing(rate, trials), trials=trials)
    plain = losttick("compare", clean, second, *options, *form)
    done = losttick("compare", clean, second, *options, *form, "--html", FULL)
    assert (done.returncode, done.stdout) == (code, plain.stdout)
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_trend_on_a_full_disk(tmp_path: Path, form: Sequence[str]) -> None:
    for number, rate in ((1, 0), (2, 0.2), (3, 0.2)):
        night(tmp_path / "nights", number, losing(rate))
    db = ("--db", tmp_path / "history.sqlite")
    losttick("history", "add", tmp_path / "nights", *db)
    plain = losttick("history", "trend", *db, *form)
    done = losttick("history", "trend", *db, *form, "--html", FULL)
    assert (plain.returncode, done.returncode) == (0, 4)
    assert done.stdout == plain.stdout != ""


@pytest.mark.parametrize(("lost", "code"), [(0, 4), (60, 1)])
def test_a_fleet_on_a_full_disk(
    small_disk: Callable[[int], SmallDisk], tmp_path: Path, lost: int, code: int
) -> None:
    disk = small_disk(8192)
    folder = disk.path / "out"
    loaded = load_fleet(fleet_file(tmp_path, FLEET))
    begun, log = begin(loaded, folder)
    log.close()
    for task in begun.can_run:
        kernel = loaded.fleet.kernels[task.kernel].release
        facts = other(kernel=kernel)
        make_run(folder / "runs" / task.id, exactly(lost, 300), facts=facts, machine=task.host)
    disk.fill()
    collect = ("fleet", "collect", str(folder), "--no-history", "--fail-on", "affected")
    plain = losttick(*collect, "--no-html")
    done = losttick(*collect)
    assert (plain.returncode, done.returncode) == (lost and 1, code)
    assert done.stdout == plain.stdout
    assert "No space left on device" in done.stderr
    assert "a fault in losttick" not in done.stderr


@pytest.mark.parametrize("kind", FailOn)
@pytest.mark.parametrize(
    "error",
    [JournalError("full"), LostJournalError("gone"), TargetError("full"),
     TargetError("full", transient=True)],
)  # fmt: skip
def test_a_journal_that_can_t_be_written_is_no_success(error: LosttickError, kind: FailOn) -> None:
    """What the run had found until then is not known, whichever kinds fail the job."""
    with pytest.raises(typer.Exit) as ended, errors_to_exits(as_json=False, fail_on=[kind]):
        raise error
    assert ended.value.exit_code in (4, 6)


def test_only_who_may_not_write_there_named_a_wrong_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words of a full disk name no other file to write to."""
    run = laid("affected", tmp_path)
    monkeypatch.setenv(SUMMARY, str(tmp_path / "no" / "such"))
    assert "Name another file" in report(run, "--github").stderr
    monkeypatch.setenv(SUMMARY, os.fspath(FULL))
    assert "Name another file" not in report(run, "--github").stderr

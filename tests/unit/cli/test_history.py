"""The commands `losttick history`, and `losttick compare` by names of the history."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from orchestrator.cli.exits import ExitCode, FailOn
from orchestrator.cli.history.keep import Keeper, NoHistoryError, RunFailOn, keeper
from orchestrator.results.result import read_result
from tests.support.command_here import losttick as run_here
from tests.support.made_history import night
from tests.support.made_runs import losing, make_run


def losttick(*args: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command in this process, in a wide terminal."""
    return run_here(*args, columns=300)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("LOSTTICK_HISTORY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def nights(place: Path) -> Path:
    folder = place / "nights"
    for number, rate in ((1, 0), (2, 0.2), (3, 0.2)):
        night(folder, number, losing(rate))
    assert losttick("history", "add", folder, "--label", "nightly").returncode == 0
    return folder


def test_add_and_list(nights: Path) -> None:
    again = losttick("history", "add", nights / "night1")
    assert "run 1: read again, 299 trials" in again.stdout
    listed = losttick("history", "list")
    assert listed.returncode == 0
    assert listed.stdout.count("nightly") == 3, "labels stay when a run is read again"
    found = json.loads(losttick("history", "list", "--newest", "1", "--json").stdout)
    assert [each["id"] for each in found] == [3]
    assert losttick("history", "list", "--label", "weekly").stdout.startswith("No such run")


def test_a_bad_folder_does_not_hide_the_good_ones(nights: Path, place: Path) -> None:
    done = losttick("history", "add", place / "nowhere", nights / "night2")
    assert done.returncode == 2
    assert "No such file" in done.stderr
    assert "run 2: read again" in done.stdout


def test_show_says_first_what_is_new(nights: Path) -> None:
    done = losttick("history", "show", "2")
    assert done.stdout.startswith("1 new, 0 still, 0 fixed since run 1")
    assert losttick("history", "show", "2", "--fail-on-new").returncode == 1
    assert losttick("history", "show", "nightly", "--fail-on-new").returncode == 0
    assert losttick("history", "show", "3", "--since", "1", "--fail-on-new").returncode == 1
    found = json.loads(losttick("history", "show", "2", "--json").stdout)
    assert found["changes"]["new"][0][1] == "known bug"


def test_compare_by_names(nights: Path) -> None:
    done = losttick("compare", "nightly~2", "nightly")
    assert done.returncode == 1
    assert "B against A: 1 worse" in done.stdout
    assert losttick("compare", nights / "night1", "2").returncode == 1
    for names in (("nightly", "3"), (str(nights / "night1"), "1")):
        twice = losttick("compare", *names)
        assert twice.returncode == 2
        assert "named twice" in twice.stderr
    assert losttick("compare", "1", "77").returncode == 2


def test_prune(nights: Path) -> None:
    dry = losttick("history", "prune", "--keep", "1h", "--dry-run")
    assert "2 folders would be removed" in dry.stdout
    assert (nights / "night1").exists()
    done = losttick("history", "prune", "--keep", "1h")
    assert "2 folders removed" in done.stdout
    assert [each.name for each in nights.iterdir()] == ["night3"]
    assert losttick("history", "prune", "--keep", "soon").returncode == 2


def test_bad_databases(place: Path) -> None:
    (place / "text").write_text("no database " * 1000)
    for name in (place / "text", "mysql://x/y", "postgresql://127.0.0.1:1/x"):
        done = losttick("history", "list", "--db", name)
        assert done.returncode == 2
        assert "opening the history" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "orchestrator.results.history.store")
    with mock.patch.dict(sys.modules, sqlalchemy=None):
        done = losttick("history", "list")
    assert done.returncode == 2
    assert "pip install 'losttick[history]'" in done.stderr


# --- losttick run --history ---


@pytest.mark.parametrize("option", [("--label", "x"), ("--host", "x"), ("--fail-on", "new")])
def test_options_that_need_the_history(option: tuple[str, str]) -> None:
    done = losttick("run", *option)
    assert done.returncode == 2
    assert "needs --history" in done.stderr


def kept(*fail_on: RunFailOn) -> Keeper:
    return keeper(fail_on, add=True, labels=["nightly"], host=None, db=None)


def ended(folder: Path, keep: Keeper) -> ExitCode:
    keep.add(folder)
    return keep.exit(read_result(folder).ends)


def test_only_new_findings_are_red_if_asked(place: Path) -> None:
    runs = [night(place, number, losing(rate)) for number, rate in ((1, 0), (2, 0.2), (3, 0.2))]
    assert [ended(run, kept(RunFailOn.NEW)) for run in runs] == [0, 1, 0]
    assert [ended(run, kept()) for run in runs] == [0, 1, 1]
    assert [ended(run, kept(RunFailOn.NEW, RunFailOn.AFFECTED)) for run in runs] == [0, 1, 1]


def test_words_stand_first(place: Path) -> None:
    keep = kept()
    assert keep.add(night(place, 1, losing(0.2)))[0].startswith("1 new")


def test_without_an_answer_of_the_history_every_finding_is_new(place: Path) -> None:
    """A history that fails after the run makes no finding green, and hides no result."""
    keep = kept(RunFailOn.NEW)
    with mock.patch.object(keep.history, "add", side_effect=RuntimeError("gone")):
        assert ended(night(place, 1, losing(0.2)), keep) is ExitCode.AFFECTED
    keep = kept(RunFailOn.NEW)
    with mock.patch.object(keep.history, "add", side_effect=RuntimeError("gone")):
        assert ended(night(place, 2, losing(0)), keep) is ExitCode.HARNESS


def test_without_history_nothing_changes(place: Path) -> None:
    keep = keeper([RunFailOn.AFFECTED], add=False, labels=None, host=None, db=None)
    assert keep.fail_on == {FailOn.AFFECTED}
    assert ended(night(place, 1, losing(0.2)), keep) is ExitCode.AFFECTED
    assert not (place / "data").exists()
    with pytest.raises(NoHistoryError):
        keeper(None, add=False, labels=None, host=None, db="x")


def test_a_run_without_an_end_can_be_added(place: Path) -> None:
    folder = make_run(place / "cut", losing(0, 20), ends=False)
    assert losttick("history", "add", folder).returncode == 0
    assert "(not ended)" in losttick("history", "list").stdout


def test_trend(place: Path) -> None:
    for number in range(1, 10):
        night(place / "many", number, losing(0.1 if number > 6 else 0, seed=number))
    losttick("history", "add", place / "many")
    page = place / "trend.html"
    done = losttick("history", "trend", "--html", page)
    assert done.returncode == 0
    assert "changed from 0.000%" in done.stdout
    assert "in run 7 (2026-11-07) at 95% probability" in done.stdout
    assert "1 of 1 cells changed" in page.read_text()
    (cell,) = json.loads(losttick("history", "trend", "--json").stdout)
    assert [each["first_run"] for each in cell["changes"]] == [7]
    assert losttick("history", "trend", "--html", "/nowhere/x.html").returncode == 2
    assert "No change in 0 cells" in losttick("history", "trend", "--host", "none").stdout

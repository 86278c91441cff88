"""Folders of old runs removed, and what stays."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.journal.console_log import ConsoleLogs
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.out_folder import OutFolder
from orchestrator.journal.recorder import CONSOLES, EVIDENCE
from orchestrator.lab.labs import SERIAL
from orchestrator.results.history.entry import About, keep_about
from orchestrator.results.history.place import HistoryError
from orchestrator.results.history.prune import Choice, age, choose, remove
from orchestrator.results.history.store import History
from orchestrator.testing import Script, lost
from tests.support.command_here import losttick, report
from tests.support.cut_short_runs import go_on
from tests.support.foreign_user import OtherUser
from tests.support.made_history import add, night, opened
from tests.support.made_runs import losing
from tests.support.virtual_time import in_virtual_time

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def history(tmp_path: Path) -> History:
    history = opened(tmp_path)
    for number, rate in ((1, 0.2), (2, 0.2), (3, 0), (4, 0)):
        add(history, night(tmp_path, number, losing(rate)))
    return history


def test_the_newest_evidence_of_a_finding_stays(history: History, tmp_path: Path) -> None:
    chosen = choose(history, timedelta(days=16, hours=12), NOW)
    assert [(each.run.id, each.removed) for each in chosen] == [(1, True), (2, False), (3, True)]
    for each in chosen:
        if each.removed:
            assert remove(each).removed
    left = sorted(each.name for each in tmp_path.iterdir() if each.is_dir())
    assert left == ["night2", "night4"]
    assert len(history.runs()) == 4, "the counts stay"
    again = choose(history, timedelta(days=16, hours=12), NOW)
    assert [each.run.id for each in again] == [2]


def test_a_folder_that_has_become_something_else_stays(history: History, tmp_path: Path) -> None:
    first, third = (each for each in choose(history, timedelta(0), NOW) if each.run.id in (1, 3))
    (tmp_path / "night1" / JOURNAL).unlink()
    (tmp_path / "night1" / JOURNAL).write_bytes((tmp_path / "night4" / JOURNAL).read_bytes())
    (tmp_path / "night3" / "thesis.txt").write_text("mine")
    assert remove(first).why == "another run is there now"
    assert remove(third).why == "it has files of others: thesis.txt"
    assert (tmp_path / "night3" / "thesis.txt").exists()


def test_a_link_is_not_followed(history: History, tmp_path: Path) -> None:
    (first,) = (each for each in choose(history, timedelta(0), NOW) if each.run.id == 1)
    (tmp_path / "night1").rename(tmp_path / "moved")
    (tmp_path / "night1").symlink_to(tmp_path / "moved")
    assert not remove(first).removed
    assert (tmp_path / "moved" / JOURNAL).exists()


def test_all_that_losttick_writes_for_a_run_goes_with_it(tmp_path: Path) -> None:
    """The folder of a run on a host, with what a lab and other commands add to one."""
    (run := tmp_path / "run").mkdir()
    in_virtual_time(lambda: go_on(run, Script(lost)))
    history = opened(tmp_path)
    add(history, run)
    with OutFolder(run) as held, closing(ConsoleLogs(held, SERIAL).create("1-x.log")) as log:
        log.write(b"Linux")
    assert {EVIDENCE, CONSOLES, SERIAL} <= {each.name for each in run.iterdir()}
    keep_about(run, About(("nightly",)))
    report("--index", tmp_path)
    (chosen,) = choose(history, timedelta(0), datetime(2100, 1, 1, tzinfo=UTC))
    assert remove(Choice(chosen.run, removed=True)) == Choice(chosen.run, removed=True)
    assert not run.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: (run / JOURNAL).write_text("{}\n"),
        lambda run: (run / JOURNAL).write_bytes(b"\0" * 1000),
        lambda run: (run / JOURNAL).write_text(""),
        lambda run: (run / JOURNAL).unlink() or (run / JOURNAL).mkdir(),
        lambda run: (run / JOURNAL).unlink() or os.mkfifo(run / JOURNAL),
    ],
)
def test_a_run_that_can_t_be_read_keeps_no_other(
    history: History, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    damage(tmp_path / "night1")
    db = ("--db", tmp_path / "history.sqlite")
    done = losttick("history", "prune", "--keep", "1h", *db, columns=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 folders removed" in done.stdout
    assert "run 1: kept, " in done.stdout
    assert "a fault in losttick" not in done.stdout
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_dir()) == ["night1", "night2"]


def test_a_run_of_somebody_else_keeps_no_other(
    history: History, other_user: OtherUser, tmp_path: Path
) -> None:
    """The newest evidence that this user can see stays, too."""
    shutil.copytree(tmp_path, other_user.home / "all")
    theirs = opened(other_user.home / "all")
    for number in range(1, 5):
        add(theirs, other_user.home / "all" / f"night{number}")
    shutil.chown(other_user.home / "all", "nobody")
    for each in (other_user.home / "all").rglob("*"):
        shutil.chown(each, "nobody")
    (private := other_user.home / "all" / "night2").chmod(0o700)
    shutil.chown(private, "root")
    with other_user.acts():
        done = losttick(
            "history", "prune", "--keep", "1h", "--db", other_user.home / "all" / "history.sqlite"
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 folders removed" in done.stdout
    left = {each.name for each in (other_user.home / "all").iterdir() if each.is_dir()}
    assert left == {"night1", "night2"}


def test_ages() -> None:
    assert age("90d") == timedelta(days=90)
    assert age("12h") == timedelta(hours=12)
    assert age("8w") == timedelta(weeks=8)


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1.5d", "1y", "99999999d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(HistoryError, match="--keep"):
        age(text)

"""Folders of old runs removed, and what stays."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.journal.file import JOURNAL
from orchestrator.results.history.place import HistoryError
from orchestrator.results.history.prune import age, choose, remove
from orchestrator.results.history.store import History
from tests.support.made_history import add, night, opened
from tests.support.made_runs import losing

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


def test_ages() -> None:
    assert age("90d") == timedelta(days=90)
    assert age("12h") == timedelta(hours=12)
    assert age("8w") == timedelta(weeks=8)


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1.5d", "1y", "99999999d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(HistoryError, match="--keep"):
        age(text)

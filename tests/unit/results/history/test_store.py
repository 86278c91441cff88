"""Runs in a history on SQLite: added, found, replaced, and compared as from their folders."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.results.comparison.arm import NoArmError, read_arm
from orchestrator.results.comparison.compare import compare
from orchestrator.results.comparison.plain import comparison_data
from orchestrator.results.history.database import open_database
from orchestrator.results.history.entry import (
    ABOUT,
    About,
    checked_name,
    entry,
    host_key,
    keep_about,
)
from orchestrator.results.history.place import HistoryError, default_database
from orchestrator.results.history.schema import METADATA
from orchestrator.results.history.store import History, open_history
from orchestrator.testing import FACTS
from tests.support.foreign_user import NOBODY, OtherUser
from tests.support.golden_reports import laid
from tests.support.made_history import WRITER, add, make_first_tables, night, opened
from tests.support.made_runs import FULL, TICK, losing, other
from tests.support.run_folders import OLD_JOURNALS, make_run_folder


def test_a_run_is_compared_as_from_its_folder(tmp_path: Path) -> None:
    runs = [night(tmp_path, 1, losing(0)), night(tmp_path, 2, losing(0.1, tick=FULL))]
    history = opened(tmp_path)
    numbers = [add(history, each) for each in runs]
    from_history = [history.arm(history.find(str(each)), "x") for each in numbers]
    from_folders = [read_arm(each, "x") for each in runs]
    assert comparison_data(compare(from_history)) == comparison_data(compare(from_folders))


@pytest.mark.parametrize("name", sorted(OLD_JOURNALS))
def test_every_journal_can_be_added_and_read_back(tmp_path: Path, name: str) -> None:
    history = opened(tmp_path)
    folder = make_run_folder(name, tmp_path / "run")
    run = history.find(str(add(history, folder)))
    arm, expected = history.arm(run), read_arm(folder, "")
    assert [(c.id, c.losses, c.outcomes, c.ticks, c.facts, c.blind) for c in arm.cells] == [
        (c.id, c.losses, c.outcomes, c.ticks, c.facts, c.blind) for c in expected.cells
    ]
    assert sum(cell.trials for cell in history.cells(run)) == sum(
        cell.losses.trials for cell in expected.cells
    )


def test_a_run_that_is_added_again_is_replaced(tmp_path: Path) -> None:
    history = opened(tmp_path)
    folder = night(tmp_path, 1, losing(0))
    assert history.add(entry(folder)) == (1, True)
    assert history.add(entry(folder, About(("nightly",)))) == (1, False)
    (run,) = history.runs()
    assert run.labels == ("nightly",)
    assert len(history.cells(run)) == 1


def test_runs_are_found_by_number_label_and_kernel(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number, kernel in ((1, "6.1"), (2, "6.5"), (3, "6.5")):
        folder = night(tmp_path, number, losing(0), facts=other(kernel=kernel))
        add(history, folder, "nightly", *(["first"] if number == 1 else []))
    assert [history.find(n).id for n in ("2", "nightly", "nightly~1", "first", "kernel=6.1")] == [
        2, 3, 2, 1, 1,
    ]  # fmt: skip
    assert history.find("kernel=6.5").id == 3
    assert [run.id for run in history.runs(label="first")] == [1]
    assert [run.id for run in history.runs(newest=2)] == [2, 3]


@pytest.mark.parametrize(
    "name", ["9", "nothing", "nightly~7", "nightly~x", "kernel=7", "", "9" * 40, "a' OR 1=1 --"]
)
def test_names_of_no_run(tmp_path: Path, name: str) -> None:
    history = opened(tmp_path)
    add(history, night(tmp_path, 1, losing(0)), "nightly")
    with pytest.raises(HistoryError, match="neither a folder nor a run"):
        history.find(name)


def test_the_run_before_is_on_the_same_host_with_the_same_labels_and_a_common_cell(
    tmp_path: Path,
) -> None:
    history = opened(tmp_path)
    add(history, night(tmp_path, 1, losing(0)), "nightly")
    add(history, night(tmp_path, 2, losing(0)))
    add(history, night(tmp_path, 3, losing(0)), "nightly", host="other")
    add(history, night(tmp_path, 4, losing(0), axes={"period_ms": 20}), "nightly")
    add(history, night(tmp_path, 5, losing(0)), "nightly")
    before = history.before(history.find("5"))
    assert before
    assert before.id == 1
    assert history.before(history.find("1")) is None


def test_runs_at_the_same_time_on_one_host_are_known(tmp_path: Path) -> None:
    history = opened(tmp_path)
    add(history, night(tmp_path, 1, losing(0)))
    add(history, night(tmp_path, 2, losing(0), began_at="2026-11-01T01:30:00.000Z"))
    add(history, night(tmp_path, 3, losing(0)))
    assert [run.id for run in history.overlapping(history.find("1"))] == [2]
    assert not history.overlapping(history.find("3"))


def test_a_host_key_does_not_change_with_what_a_kernel_says_of_its_clock() -> None:
    assert host_key("m" * 64, FACTS) == host_key("m" * 64, other(cpu="X @ 2.4GHz", kernel="9"))
    assert host_key("m" * 64, FACTS) != host_key("n" * 64, FACTS)
    assert host_key("m" * 64, FACTS) != host_key("m" * 64, other(family_model_stepping="6.1.1"))


@pytest.mark.parametrize("name", [ABOUT, f".{ABOUT}.new"])
def test_labels_are_not_written_through_a_planted_link(
    other_user: OtherUser, tmp_path: Path, name: str
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    other_user.sh(f"ln -s {precious} {name}")
    keep_about(other_user.home, About(("nightly",), "lab7"))
    assert precious.read_text() == "precious"
    assert "nightly" in (other_user.home / ABOUT).read_text()


@pytest.mark.parametrize("name", ["history.sqlite", "way/history.sqlite", "way/new/history.sqlite"])
def test_a_history_is_not_made_where_another_user_leads(
    other_user: OtherUser, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    other_user.sh(f"ln -s {victim} way; ln -s {victim}/planted history.sqlite")
    with pytest.raises(HistoryError, match="is a symbolic link of user nobody"):
        open_database(str(other_user.home / name))
    assert not list(victim.iterdir())


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o775), (0o022, 0o755), (0o077, 0o700)])
def test_new_folders_of_a_history_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """So that a team can share one."""
    before = os.umask(umask)
    try:
        open_database(str(tmp_path / "team" / "new" / "h.sqlite"))
    finally:
        os.umask(before)
    for folder in (tmp_path / "team", tmp_path / "team" / "new"):
        assert folder.stat().st_mode & 0o777 == mode


def test_a_history_in_a_folder_that_can_t_be_listed(other_user: OtherUser) -> None:
    """To find it, and to write to it, is enough."""
    (other_user.home / "shut").mkdir(0o700)
    shutil.chown(other_user.home / "shut", NOBODY)
    (other_user.home / "shut").chmod(0o300)
    other_user.needs_this_clone()
    with other_user.acts():
        for name in ("h.sqlite", "new/h.sqlite"):
            open_database(str(other_user.home / "shut" / name))
    assert (other_user.home / "shut" / "new" / "h.sqlite").stat().st_uid == NOBODY


def test_labels_and_host_stay_with_the_folder(tmp_path: Path) -> None:
    """So a history that is made anew has them."""
    folder = night(tmp_path, 1, losing(0))
    keep_about(folder, About(("nightly",), "lab7"))
    keep_about(folder, About(("again",)))
    found = entry(folder)
    assert found.labels == ("nightly", "again")
    assert found.run["host"] == "lab7"
    for text in ('{"labels": 3}', "[]", '{"labels": ["\\u001b[2J"], "host": ""}', "\x00"):
        (folder / ABOUT).write_text(text)
        assert entry(folder).labels == ()


@pytest.mark.parametrize("name", ["", "3", "a b", "a\nb", "x" * 201, "a'b", "a/b"])
def test_bad_labels(name: str) -> None:
    with pytest.raises(HistoryError, match="is not a name"):
        checked_name(name, "label")


def test_a_direct_test_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoArmError, match="direct test"):
        entry(laid("probe", tmp_path))


# --- the database ---


def test_the_migrations_make_the_tables_of_the_schema(tmp_path: Path) -> None:
    opened(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "history.sqlite")) as made, made:
        for table in METADATA.tables.values():
            columns = {
                row[1]: (row[3], row[5]) for row in made.execute(f"pragma table_info({table})")
            }
            assert columns.keys() == {column.name for column in table.columns}
            for column in table.columns:
                if not column.primary_key:
                    assert columns[column.name][0] == (not column.nullable)
        indexes = {
            row[0] for row in made.execute("select name from sqlite_master where type='index'")
        }
    wanted = {index.name for table in METADATA.tables.values() for index in table.indexes}
    assert wanted <= indexes


def test_a_database_of_the_previous_tables_is_migrated(tmp_path: Path) -> None:
    """Made by the first migration alone, and filled as losttick filled it then."""
    place = tmp_path / "history.sqlite"
    entries = [
        entry(night(tmp_path, number, losing(0.02 * number, seed=number, tick=tick)))
        for number, tick in ((1, TICK), (2, FULL))
    ]
    make_first_tables(f"sqlite:///{place}", entries)
    migrated, fresh = opened(tmp_path), open_history(str(tmp_path / "fresh.sqlite"))
    for each in entries:
        fresh.add(each)
    assert everything(migrated) == everything(fresh)
    first, second = (row.save_classes for row in migrated.nights())
    assert (first[0] >= 12, second[1] >= 12, first[1], second[0]) == (True, True, 0, 0)
    add(migrated, night(tmp_path, 3, losing(0)))
    assert len(opened(tmp_path).runs()) == 3


def test_damaged_counts_do_not_keep_a_database_from_being_migrated(tmp_path: Path) -> None:
    found = entry(night(tmp_path, 1, losing(0)))
    found.cells[0]["saves"] = b"damaged"
    make_first_tables(f"sqlite:///{tmp_path}/history.sqlite", [found])
    (row,) = opened(tmp_path).nights()
    assert row.save_classes == [0, 0, 0]


def everything(history: History) -> object:
    """Return what a history knows of its runs."""
    return [
        (run, history.cells(run), history.arm(run), list(history.nights()))
        for run in history.runs()
    ]  # fmt: skip


def test_a_database_of_a_newer_losttick_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path)
    place = tmp_path / "history.sqlite"
    with contextlib.closing(sqlite3.connect(place)) as made, made:
        made.execute("update losttick_version set version_num = '0099'")
    before = place.read_bytes()
    with pytest.raises(HistoryError, match="a newer losttick wrote it"):
        opened(tmp_path)
    assert place.read_bytes() == before


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "history.sqlite")) as foreign, foreign:
        foreign.execute("create table cookies (id integer)")
    with pytest.raises(HistoryError, match="another program"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mysql://user@server/x", "not supported"),
        ("://", "is no URL"),
        ("/dev/null/x", "opening the history"),
        ("/proc", "opening the history"),
    ],
)
def test_bad_databases(name: str, said: str) -> None:
    with pytest.raises(HistoryError, match=said):
        open_database(name)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_text("hello, this is no database\n" * 100)
    with pytest.raises(HistoryError, match="not a database"):
        opened(tmp_path)


def test_a_password_is_not_said() -> None:
    with pytest.raises(HistoryError) as error:
        open_database("postgresql://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(error.value)
    assert "secret" not in repr(error.value.__cause__)


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LOSTTICK_HISTORY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_database() == f"{tmp_path}/losttick/history.sqlite"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_database().startswith(str(Path.home()))
    monkeypatch.setenv("LOSTTICK_HISTORY", "/else/where")
    assert default_database() == "/else/where"


# --- writers ---


def _writer(place: Path, *folders: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(place), *map(str, folders)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_writers_and_a_kill(tmp_path: Path) -> None:
    """Both begin with no database; one is killed; what is there is whole."""
    place = tmp_path / "history.sqlite"
    folders = [night(tmp_path, number, losing(0.1, seed=number)) for number in (1, 2, 3)]
    first, second = _writer(place, *folders[:2]), _writer(place, *folders[1:])
    try:
        assert first.stdout
        assert first.stdout.readline() == "ready\n"
        time.sleep(0.1)
        first.kill()
        rest, _ = second.communicate(timeout=100)
    finally:
        for each in (first, second):
            each.kill()
            each.communicate()
    assert rest.endswith("done\n")
    history = opened(tmp_path)
    runs = history.runs()
    assert {"night2", "night3"} <= {Path(run.folder).name for run in runs}
    for run in runs:
        (cell,) = history.arm(run).cells
        assert len(cell.saves) >= 12
        assert sum(loads for loads, _ in cell.saves) == 299


def test_what_the_newest_run_of_each_host_skipped(tmp_path: Path) -> None:
    history, axes = opened(tmp_path), {"period_ms": [20, 50]}
    skips = {f"kvm/one-shot/xapic/hmp/{period}ms/25loads": "no KVM" for period in (20, 50)}
    one = dict([*skips.items()][:1])
    add(history, night(tmp_path, 1, losing(0), axes=axes, skips=skips), host="a")
    add(history, night(tmp_path, 2, losing(0), axes=axes, skips=skips), host="b")
    add(history, night(tmp_path, 3, losing(0), axes=axes, skips=one), host="a")
    add(history, night(tmp_path, 4, losing(0), axes=axes), host="b")
    assert list(history.skipped_last()) == [("a", 3, *each) for each in one.items()]

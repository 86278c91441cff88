"""A history filled by a real run, and a history on a real PostgreSQL."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.results.history.entry import entry
from orchestrator.results.history.place import HistoryTroubleError
from orchestrator.results.history.store import History, open_history
from tests.support.command import losttick_command
from tests.support.made_history import WRITER, add, make_first_tables, night
from tests.support.made_runs import losing
from tests.support.needs import Need, lacking


def test_a_real_run_goes_into_the_history(tmp_path: Path) -> None:
    """Twice, so that the second has a run before it."""
    env = os.environ | {"XDG_DATA_HOME": str(tmp_path / "data")}
    for number in (1, 2):
        done = subprocess.run(
            losttick_command(
                "run", "--accel", "tcg", "--trials", "3", "--rule-out", "0.9", "--period", "10",
                "--controls", "1",
                "--history", "--label", "test", "--out", str(tmp_path / str(number)),
                "--fail-on", "new", "--report", f"junit={tmp_path}/junit{number}.xml",
            ),
            capture_output=True, text=True, env=env, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("Nothing new ")
    assert "since run 1 (test)" in done.stdout
    assert 'name="changes" value="Nothing new since run 1' in (tmp_path / "junit2.xml").read_text()
    compared = subprocess.run(
        losttick_command("compare", "test~1", "test", "--margin", "0.9", "--json"),
        capture_output=True, text=True, env=env, check=False,
    )  # fmt: skip
    (cell,) = json.loads(compared.stdout)["comparisons"][0]["cells"]
    assert (cell["A"]["loads"], cell["B"]["loads"], cell["A"]["blind"]) == (3, 3, None)


# --- PostgreSQL ---


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        lacking(Need.POSTGRESQL, "its server is not installed (apt install postgresql)")
    return found[-1].parent


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Yield the URL of a private cluster on a Unix socket, which does not run as root."""
    programs = _programs()
    # Another user could not pass the folders of pytest.
    with (
        tempfile.TemporaryDirectory(prefix="losttick-pg") as folder,
        _started(programs, Path(folder)) as url,
    ):
        yield url


@contextlib.contextmanager
def _started(programs: Path, folder: Path) -> Iterator[str]:
    become: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            lacking(Need.POSTGRESQL, "it refuses root, and there is no setpriv")
        become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        shutil.chown(folder, "nobody", "nogroup")
    data = folder / "data"
    if not data.exists():
        subprocess.run(
            [*become, programs / "initdb", "-D", data, "-A", "trust", "-U", "losttick", "-N"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
    process = subprocess.Popen(
        [*become, programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    url = f"postgresql://losttick@/postgres?host={folder}"
    try:
        _wait_for(url)
        yield url
    finally:
        process.send_signal(signal.SIGINT)  # a shutdown that waits for no client
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def _wait_for(url: str) -> None:
    """Wait until the server answers; it may have to recover first."""
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def database(server: str) -> str:
    """Make an empty database on the server."""
    import psycopg

    name = f"history{time.monotonic_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")  # type: ignore[arg-type]  # a literal
    return server.replace("/postgres?", f"/{name}?")


def answers(history: History) -> object:
    """Return everything that a history says, without the numbers of its runs."""
    runs = sorted(history.runs(), key=lambda run: run.identity)
    return [
        (run.identity, run.verdict, run.labels, run.host, history.cells(run),
         [(c.id, c.losses, c.ticks, c.outcomes, c.facts) for c in history.arm(run).cells])
        for run in runs
    ]  # fmt: skip


def test_it_answers_as_sqlite_does(database: str, tmp_path: Path) -> None:
    hostile = "6.5\0\ud800'; drop table runs --"
    sqlite, postgres = open_history(str(tmp_path / "history.sqlite")), open_history(database)
    for number, rate in ((1, 0), (2, 0.1), (3, 0)):
        folder = night(tmp_path, number, losing(rate), losttick=hostile.replace("\ud800", ""))
        for history in (sqlite, postgres):
            add(history, folder, "nightly", f"n{number}")
            add(history, folder, "nightly")
    assert answers(sqlite) == answers(postgres)
    assert [history.find("nightly~1").began_at for history in (sqlite, postgres)] == [
        "2026-11-02T01:00:00.000Z"
    ] * 2
    before = [history.before(history.find("nightly")) for history in (sqlite, postgres)]
    assert [run and run.identity for run in before] == [
        history.find("nightly~1").identity for history in (sqlite, postgres)
    ]


def test_two_writers_of_which_one_is_killed_and_a_restore(database: str, tmp_path: Path) -> None:
    """Both make the tables. What is there is whole, and is made anew from the journals."""
    folders = [night(tmp_path, number, losing(0.1, seed=number)) for number in (1, 2, 3)]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, database, *map(str, each)],
            stdout=subprocess.PIPE, text=True,
        )
        for each in (folders[:2], folders[1:])
    ]  # fmt: skip
    try:
        assert writers[0].stdout
        assert writers[0].stdout.readline() == "ready\n"
        time.sleep(0.1)
        writers[0].kill()
        rest, _ = writers[1].communicate(timeout=100)
    finally:
        for each in writers:
            each.kill()
            each.communicate()
    assert rest.endswith("done\n")
    history, restored = open_history(database), open_history(str(tmp_path / "anew.sqlite"))
    for run in history.runs():
        add(restored, Path(run.folder))
    assert answers(history) == answers(restored)
    assert len(history.runs()) >= 2


def test_two_writers_of_the_same_runs_do_not_wait_for_each_other_for_ever(
    database: str, tmp_path: Path
) -> None:
    """As when two collect one fleet: each locks the runs that the other adds."""
    entries = [entry(night(tmp_path, number, losing(0.1, seed=number))) for number in range(1, 9)]
    histories = [open_history(database) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        for _ in range(10):
            both = [
                pool.submit(history.add_all, runs)
                for history, runs in zip(histories, (entries, entries[::-1]), strict=True)
            ]
            numbers = [[number for number, _ in each.result(60)] for each in both]
            assert numbers[0] == numbers[1][::-1]
    assert len(histories[0].runs()) == len(entries)


def test_a_server_that_is_killed_in_mid_import(tmp_path: Path) -> None:
    """The writer says so; what the server recovers is whole, and the rest can be added again."""
    programs = _programs()
    folders = [night(tmp_path, number, losing(0.1, seed=number)) for number in (1, 2, 3)]
    with tempfile.TemporaryDirectory(prefix="losttick-pg") as place:
        with _started(programs, Path(place)) as url:
            open_history(url)
            writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, url, *map(str, folders)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert writer.stdout
            assert writer.stdout.readline() == "ready\n"
            time.sleep(0.2)
            assert writer.poll() is None, "it still writes"
            server_pid = int((Path(place) / "data" / "postmaster.pid").read_text().split()[0])
            os.kill(server_pid, signal.SIGKILL)
            out, err = writer.communicate(timeout=60)
            assert "done" not in out
            assert "HistoryTroubleError: adding a run to the history" in err
            assert "Nothing was changed" in err
        with _started(programs, Path(place)) as url:
            history, restored = open_history(url), open_history(str(tmp_path / "anew.sqlite"))
            for run in history.runs():
                add(restored, Path(run.folder))
            assert answers(history) == answers(restored)
            for folder in folders:
                for each in (history, restored):
                    add(each, folder)
            assert len(history.runs()) == 3
            assert answers(history) == answers(restored)


def test_previous_tables_are_migrated(database: str, tmp_path: Path) -> None:
    entries = [entry(night(tmp_path, number, losing(0.1, seed=number))) for number in (1, 2)]
    make_first_tables(database.replace("postgresql:", "postgresql+psycopg:"), entries)
    history, fresh = open_history(database), open_history(str(tmp_path / "fresh.sqlite"))
    for each in entries:
        fresh.add(each)
    assert answers(history) == answers(fresh)
    nights = [[row.save_classes for row in each.nights()] for each in (history, fresh)]
    assert nights[0] == nights[1] != [[0, 0, 0]] * 2


def test_a_server_that_goes_away(server: str, database: str, tmp_path: Path) -> None:
    import psycopg

    history = open_history(database)
    add(history, night(tmp_path, 1, losing(0)))
    name = database.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")  # type: ignore[arg-type]  # a literal
    with pytest.raises(HistoryTroubleError, match="Nothing was changed"):
        history.runs()

"""What the history costs. Run alone on the machine: `tox -e bench`."""

import subprocess
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.results.history.database import open_database
from orchestrator.results.history.entry import entry
from orchestrator.results.history.schema import CELLS, RUNS
from tests.support.command import losttick_command
from tests.support.cpu_time import cpu_s
from tests.support.made_history import night, opened
from tests.support.made_runs import exactly, losing

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

LOADS = 100_000


def test_add_and_compare(tmp_path: Path) -> None:
    """Two runs of 100,000 trials: added, and compared from the history in a new process."""
    history = opened(tmp_path)
    folders = [
        night(tmp_path, 1, exactly(0, LOADS), trials=LOADS),
        night(tmp_path, 2, losing(0.001, LOADS), trials=LOADS),
    ]
    began, used = time.monotonic(), time.process_time()
    for folder in folders:
        history.add(entry(folder))
    took, cpu = time.monotonic() - began, time.process_time() - used
    print(f"\nhistory add: {2 * LOADS / took:,.0f} trials/s, {2 * LOADS / cpu:,.0f} a second "
          "of the CPU (asked: 50,000)")  # fmt: skip
    size = (tmp_path / "history.sqlite").stat().st_size
    print(f"history of 2 x {LOADS:,} trials: {size / 1000:.0f} kB")
    began, used = time.monotonic(), cpu_s()
    done = subprocess.run(
        losttick_command("compare", "1", "2", "--db", f"{tmp_path}/history.sqlite"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    print(f"compare from the history: {time.monotonic() - began:.1f} s, of the CPU "
          f"{cpu_s() - used:.1f} s (asked: 3)")  # fmt: skip


def test_trend_of_a_thousand_nights_of_24_cells(tmp_path: Path) -> None:
    place = tmp_path / "history.sqlite"
    history = opened(tmp_path)
    history.add(entry(night(tmp_path, 1, losing(0.01))))
    with open_database(str(place)).change("filling") as connection:
        run = dict(connection.execute(sa.select(RUNS)).one()._mapping)
        cell = dict(connection.execute(sa.select(CELLS)).one()._mapping)
        for number in range(2, 1001):
            day = f"{2024 + number // 365}-{number % 365 // 31 + 1:02}-{number % 31 + 1:02}T01"
            connection.execute(
                sa.insert(RUNS), run | {"id": number, "identity": f"{number}", "began_at": day}
            )
            connection.execute(
                sa.insert(CELLS),
                [cell | {"run": number, "cell": f"{each}", "lost": (number * each) % 5}
                 for each in range(24)],
            )  # fmt: skip
    began, used = time.monotonic(), cpu_s()
    done = subprocess.run(
        losttick_command("history", "trend", "--db", str(place)),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    print(f"trend of 1,000 nights x 24 cells: {time.monotonic() - began:.1f} s, of the CPU "
          f"{cpu_s() - used:.1f} s (asked: 5): {done.stdout[:60]}")  # fmt: skip

"""What `losttick compare` costs. Run alone on the machine: `tox -e bench`."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.support.command import losttick_command
from tests.support.cpu_time import cpu_s
from tests.support.made_runs import exactly, losing, make_run

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

LOADS = 100_000


@pytest.mark.parametrize("rate", [0, 0.001, 0.2])
def test_two_runs_from_folders(tmp_path: Path, rate: float) -> None:
    """Two runs of 100,000 trials each, in a new process."""
    make_run(tmp_path / "a", exactly(0, LOADS), trials=LOADS)
    make_run(tmp_path / "b", losing(rate, LOADS), trials=LOADS)
    began, used = time.monotonic(), cpu_s()
    done = subprocess.run(
        losttick_command("compare", "a", "b"), cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    words = done.stdout.partition(" cell.")[0].splitlines()[-1]
    print(f"compare, 2 x {LOADS:,} trials, {rate:.1%} lost: {time.monotonic() - began:.1f} s, "
          f"of the CPU {cpu_s() - used:.1f} s (asked: 8 from folders): {words}")  # fmt: skip

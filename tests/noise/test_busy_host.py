"""A busy host is not accused: `tox -e noise`, an hour or two on two cores.

LOSTTICK_NOISE_ROUNDS (12) chooses how many rounds run; `-k busy` or `-k idle` one of the tests.
Nothing else should run on the computer.
"""

import os
from pathlib import Path

import pytest

from tests.support.needs import Need, lacking
from tests.support.rounds import busy_loops, run_round, table

ROUNDS = int(os.environ.get("LOSTTICK_NOISE_ROUNDS", "12"))
RUNS = 5
LOOPS = 4

pytestmark = [pytest.mark.noise, pytest.mark.timeout(0)]


@pytest.fixture(scope="module", autouse=True)
def kvm() -> None:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        lacking(Need.KVM, "/dev/kvm can't be used")


def test_runs_beside_busy_loops_accuse_nobody(tmp_path: Path) -> None:
    """At most 1 in 10 is inconclusive, and says why and what to do."""
    rans = []
    with busy_loops(LOOPS):
        for number in range(1, ROUNDS + 1):
            rans += run_round(tmp_path, number, RUNS)
            print(f"\n{table(rans)}", flush=True)
    assert not [ran for ran in rans if ran.verdict in ("affected", "anomalous")]
    inconclusive = [ran for ran in rans if ran.verdict == "inconclusive"]
    assert len(inconclusive) <= len(rans) // 10
    for ran in inconclusive:
        assert "Run it again" in ran.why or "A longer --period" in ran.why, ran.why
    assert {ran.verdict for ran in rans} <= {"clean", "inconclusive"}


def test_runs_on_an_idle_host_are_clean(tmp_path: Path) -> None:
    rans = []
    for number in range(1, ROUNDS * RUNS + 1):
        rans += run_round(tmp_path, number, 1)
        print(f"\n{table(rans[-1:])}", flush=True)
    print(f"\n{table(rans)}", flush=True)
    assert {ran.verdict for ran in rans} == {"clean"}

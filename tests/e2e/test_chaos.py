"""Real campaigns under faults that a seed draws: no wrong answer, and nothing lost or left.

The usual suite has some rounds. `tox -e chaos` has two minutes of them, and
`tox -e chaos -- --minutes 60 --chaos-seed 7` an hour, of the given seed.
"""

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.vm.config import Accel
from tests.support.chaos.round import Round, run_round

pytestmark = pytest.mark.alone

#: Length of the usual campaign.
USUAL_S = 15


@pytest.mark.timeout(0)
def test_chaos(tmp_path: Path, best_accel: Accel, pytestconfig: pytest.Config) -> None:
    minutes = pytestconfig.getoption("minutes", None)
    chosen = pytestconfig.getoption("chaos_seed", None)
    seed = random.randrange(1 << 32) if chosen is None else chosen
    print(f"\nseed {seed}", flush=True)
    rounds: list[Round] = []
    until = time.monotonic() + (USUAL_S if minutes is None else 60 * minutes)
    while not rounds or time.monotonic() < until:
        rounds.append(run_round(tmp_path, seed, len(rounds) + 1, best_accel))
        print(rounds[-1].line(), flush=True)
        for trouble in rounds[-1].troubles():
            print(f"  WRONG: {trouble}", flush=True)
    faults = sum((each.faults for each in rounds), Counter[str]())
    print(summary(rounds, faults), flush=True)
    assert faults
    assert not [trouble for each in rounds for trouble in each.troubles()], f"seed {seed}"


def summary(rounds: list[Round], faults: Counter[str]) -> str:
    """Return the figures of all rounds."""
    kinds = ", ".join(f"{count} {name}" for name, count in faults.most_common())
    verdicts = ", ".join(f"{n} {word}" for word, n in Counter(r.verdict for r in rounds).items())
    return (
        f"{len(rounds)} rounds: {faults.total()} faults ({kinds}); verdicts: {verdicts}; "
        f"{sum(each.resumed for each in rounds)} sessions resumed; "
        f"{sum(bool(each.wrong) for each in rounds)} wrong verdicts; "
        f"{sum(len(each.twice) for each in rounds)} counted twice; "
        f"{sum(len(each.left) for each in rounds)} left behind; "
        f"{sum(len(each.unfinished) for each in rounds)} cells not finished; "
        f"{sum(len(each.broken) for each in rounds)} sessions broken; "
        f"slowest end after an interrupt {max(each.slowest_end_s for each in rounds):.1f} s"
    )

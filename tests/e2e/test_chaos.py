"""Real campaigns under faults that a seed draws: no wrong answer, and nothing lost or left.

The usual suite has some rounds. `tox -e chaos` has two minutes of them, and
`tox -e chaos -- --minutes 60 --chaos-seed 7` an hour, of the given seed. Then two rounds take
place at a time: most of a round is waiting, for stopped programs and for a calmer host.
"""

import contextlib
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from orchestrator.vm.config import Accel
from tests.support.chaos.round import Round, run_round

pytestmark = pytest.mark.alone

#: Length of the usual campaign.
USUAL_S = 15

#: Rounds that take place at a time in a longer one. They disturb each other as neighbours would.
AT_ONCE = 2


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """Let runs heed Ctrl-C, though the tests may run in the background, where it is ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.timeout(0)
def test_chaos(tmp_path: Path, best_accel: Accel, pytestconfig: pytest.Config) -> None:
    minutes = pytestconfig.getoption("minutes", None)
    chosen = pytestconfig.getoption("chaos_seed", None)
    seed = random.randrange(1 << 32) if chosen is None else chosen
    print(f"\nseed {seed}", flush=True)
    rounds: list[Round] = []
    began = time.monotonic()
    until = began + (USUAL_S if minutes is None else 60 * minutes)
    one_by_one = run_rounds(tmp_path, seed, best_accel, until)
    for each in one_by_one if minutes is None else some_at_once(tmp_path, seed, best_accel, until):
        rounds.append(each)
        print(each.line(), flush=True)
        for trouble in each.troubles():
            print(f"  WRONG: {trouble}", flush=True)
    faults = sum((each.faults for each in rounds), Counter[str]())
    print(summary(rounds, faults), flush=True)
    print(f"{faults.total() / (time.monotonic() - began) * 3600:.0f} faults an hour", flush=True)
    assert faults
    assert not [trouble for each in rounds for trouble in each.troubles()], f"seed {seed}"


def run_rounds(parent: Path, seed: int, accel: Accel, until: float) -> Iterator[Round]:
    """Run the rounds of a seed until a moment, one after the other; at least one."""
    for number in itertools.count(1):
        yield run_round(parent, seed, number, accel)
        if time.monotonic() >= until:
            return


def some_at_once(parent: Path, seed: int, accel: Accel, until: float) -> Iterator[Round]:
    """Run the rounds of a seed until a moment, some at a time."""
    numbers = itertools.count(1)
    with contextlib.closing(_Pool(ThreadPoolExecutor(AT_ONCE))) as pool:
        for _ in range(AT_ONCE):
            pool.submit(parent, seed, next(numbers), accel)
        while pool.running:
            for done in pool.ended():
                if time.monotonic() < until:
                    pool.submit(parent, seed, next(numbers), accel)
                yield done


class _Pool:
    """Rounds that take place now."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor
        self.running: set[Future[Round]] = set()

    def submit(self, parent: Path, seed: int, number: int, accel: Accel) -> None:
        self.running.add(self._executor.submit(run_round, parent, seed, number, accel))

    def ended(self) -> list[Round]:
        """Wait until at least one round has ended."""
        ended, self.running = wait(self.running, return_when=FIRST_COMPLETED)
        return [each.result() for each in ended]

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)


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
        f"paused for {sum(each.paused_s for each in rounds):.0f} s of "
        f"{sum(each.took_s for each in rounds):.0f} s; "
        f"slowest end after an interrupt {max(each.slowest_end_s for each in rounds):.1f} s"
    )

"""Bisections of simulated histories: geometric losses, builds that fail, rates that change."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestrator.bisect.ancestry import Ancestry
from orchestrator.bisect.belief import Belief, Counts, Seen
from orchestrator.bisect.candidate import Candidate, History, line_of
from orchestrator.bisect.rules import Rules
from orchestrator.bisect.steps import Boot, Ending, Place, likeliest, next_step
from orchestrator.bisect.tester import Cost

#: Seconds to build and boot, and for a load, as a lab takes where only KVM's modules are built.
COST = Cost(90, 1.5)

Rate = Callable[[int], float]


def line(commits: int) -> History:
    """Return a linear history: the older end, and so many commits after it."""
    return line_of([Candidate(f"c{index}") for index in range(commits + 1)])


def merged(commits: int, rng: np.random.Generator) -> History:
    """Return a history with branches and merges: about a commit in seven is a merge."""
    parents: list[tuple[int, ...]] = [()]
    heads = [0]
    while len(parents) <= commits:
        new, kind = len(parents), rng.random()
        left = commits - new
        if len(heads) > 1 and (kind < 0.14 or left < len(heads)):
            one, other = (int(h) for h in rng.choice(heads, 2, replace=False))
            parents.append((one, other))
            heads = [h for h in heads if h not in (one, other)] + [new]
        elif kind < 0.3 and left > len(heads) + 1:
            parents.append((max(0, new - 1 - int(rng.integers(30))),))
            heads = [h for h in heads if h not in parents[-1]] + [new]
        else:
            head = int(rng.choice(heads))
            parents.append((head,))
            heads = [h for h in heads if h != head] + [new]
    return History(tuple(Candidate(f"c{index}") for index in range(commits + 1)), tuple(parents))


@dataclass(frozen=True, slots=True)
class Simulated:
    """How one bisection ended, and what it took."""

    ending: Ending
    place: Place
    belief: Belief
    tests: Sequence[Boot]
    failed: int
    """Builds that failed."""

    @property
    def loads(self) -> int:
        return sum(test.loads for test in self.tests)


def bisect(
    ancestry: Ancestry,
    rules: Rules,
    rng: np.random.Generator,
    rate: Rate,
    *,
    broken: frozenset[int] = frozenset(),
    cost: Cost = COST,
) -> Simulated:
    """Bisect a history whose candidates lose at known rates."""
    counts: dict[int, Counts] = {}
    untestable: set[int] = set()
    tests: list[Boot] = []
    while True:
        belief = Belief(ancestry, rules, Seen(counts, (), frozenset(untestable)))
        step = next_step(belief, tests, lambda _: cost)
        if isinstance(step, Ending):
            return Simulated(step, likeliest(belief), belief, tests, len(untestable))
        if step.candidate in broken:
            untestable.add(step.candidate)
            continue
        loads, losses = losing(rng, rate(step.candidate), step.loads, step.losses)
        tests.append(Boot(step.candidate, loads, losses))
        before = counts.get(step.candidate, Counts())
        counts[step.candidate] = before + Counts(loads, losses)


def losing(rng: np.random.Generator, rate: float, most: int, stop: int) -> tuple[int, int]:
    """Return loads and losses of a boot that ends after so many loads or losses."""
    loads = losses = 0
    while rate and losses < stop:
        further = int(rng.geometric(rate))
        if loads + further > most:
            return most, losses
        loads, losses = loads + further, losses + 1
    return (loads, losses) if rate else (most, 0)


@dataclass(slots=True)
class Tally:
    """Many bisections of one kind."""

    right: int = 0
    runs: int = 0
    loads: list[int] = field(default_factory=list)
    boots: list[int] = field(default_factory=list)
    endings: Counter[Ending] = field(default_factory=Counter)

    def add(self, found: Simulated, *, right: bool) -> None:
        self.runs += 1
        self.right += right
        self.loads.append(found.loads)
        self.boots.append(len(found.tests))
        self.endings[found.ending] += 1

    def __str__(self) -> str:
        return (
            f"right {self.right}/{self.runs} ({self.right / self.runs:.1%}), loads "
            f"{np.mean(self.loads):.0f}, boots {np.mean(self.boots):.1f} (95th percentile "
            f"{np.quantile(self.boots, 0.95):.0f})"
        )

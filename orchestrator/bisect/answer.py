"""The answer of a bisection, computed from its records alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.bisect.ancestry import Ancestry
from orchestrator.bisect.belief import Belief
from orchestrator.bisect.candidate import Candidate
from orchestrator.bisect.records import BootRecord, UntestableRecord
from orchestrator.bisect.rules import Find
from orchestrator.bisect.state import State
from orchestrator.bisect.steps import Ending, Step, ends, likeliest, next_step
from orchestrator.bisect.tester import Cost
from orchestrator.stats.change_point import evidence

#: Confidence of the rate that a clean side rules out, and share of the rates that are named.
CONFIDENCE = 0.95

#: Candidates that an answer names as those that remain.
MOST_NAMED = 20

#: Odds for a change of the loss rate from which on an answer mentions it.
_ODDS = 10.0


@dataclass(frozen=True, slots=True)
class Side:
    """The boots and loads of one candidate, and of those with the same kernel."""

    candidate: Candidate
    boots: int
    loads: int
    losses: int
    evidence: tuple[str, ...]
    """The folders of its results, or sentences."""

    @property
    def ruled_out(self) -> float | None:
        """The loss rate that its clean loads rule out at `CONFIDENCE`; None after a loss."""
        if self.losses or not self.loads:
            return None
        return float(1 - (1 - CONFIDENCE) ** (1 / self.loads))


@dataclass(frozen=True, slots=True)
class NotTested:
    """A candidate that could not be tested."""

    candidate: Candidate
    stage: str
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a bisection, as far as it has one."""

    ending: Ending | None
    """None: it is not at its end."""
    find: Find
    what: str
    """The word for a candidate: commit, kernel or QEMU."""
    probability: float
    """The probability of the culprits, if there are any; otherwise that of the ending."""
    culprits: tuple[Candidate, ...]
    """The likeliest culprit; several if no test can tell them apart."""
    losing: Side
    """The candidate nearest to the culprit that loses; at the end if no culprit was found."""
    clean: Side
    remaining: tuple[Candidate, ...]
    """The fewest candidates that have 95 % of the probability, the likeliest first."""
    rates: tuple[float, float, float] | None
    """The loss rate of losing candidates: the ends of its credible range, and its median between
    them. None before a loss."""
    change: str
    """A sentence if losing candidates seem to have different rates; otherwise empty."""
    not_tested: tuple[NotTested, ...]
    min_rate: float
    candidates: int
    boots: int
    loads: int
    seconds: float


def answer_of(state: State) -> Answer:
    """Return what the records of a bisection say."""
    belief = Belief(Ancestry(state.history, state.rules.find), state.rules, state.seen())
    step = next_step(belief, state.boots, lambda _: Cost(1, 1))
    ending = None if isinstance(step, Step) else step
    candidates = state.history.candidates
    place = likeliest(belief)
    probability, culprits = place.probability, tuple(candidates[c] for c in place.culprits)
    losing, clean = place.losing, place.clean
    if ending in (Ending.NEVER, Ending.ALWAYS):
        none = belief.ancestry.never if ending is Ending.NEVER else belief.ancestry.always
        probability, culprits = float(belief.hypothesis[none]), ()
    if ending is not Ending.FOUND and ending is not None:
        losing, clean = (belief.seen.kernel_of(each) for each in ends(belief))
    return Answer(
        ending=ending, find=state.rules.find, what=_what(state), probability=probability,
        culprits=culprits, losing=_side(state, losing), clean=_side(state, clean),
        remaining=tuple(candidates[c] for c in remaining(belief)),
        rates=_rates(belief), change=_change(belief, state),
        not_tested=tuple(
            NotTested(candidates[each.candidate], each.stage, each.why)
            for each in state.records if isinstance(each, UntestableRecord)
        ),
        min_rate=state.rules.min_rate, candidates=len(candidates), boots=len(state.boots),
        loads=sum(boot.loads for boot in state.boots), seconds=state.seconds,
    )  # fmt: skip


def remaining(belief: Belief, share: float = 0.95) -> list[int]:
    """Return the fewest candidates that have this share of the culprits' probability.

    The likeliest comes first.
    """
    culprits = belief.hypothesis[: belief.ancestry.candidates - 1]
    order = np.argsort(-culprits, kind="stable")
    total = np.cumsum(culprits[order])
    if total[-1] <= 0:
        return []
    needed = int(np.searchsorted(total, share * total[-1])) + 1
    return [int(each) + 1 for each in order[:needed]]


def _what(state: State) -> str:
    if state.history.candidates[-1].commit:
        return "commit"
    return state.settings.get("what", "kernel")


def _side(state: State, candidate: int) -> Side:
    seen = state.seen()
    boots = [
        record for record in state.records
        if isinstance(record, BootRecord) and seen.kernel_of(record.candidate) == candidate
    ]  # fmt: skip
    return Side(
        state.history.candidates[candidate], len(boots), sum(boot.loads for boot in boots),
        sum(boot.losses for boot in boots), tuple(boot.evidence for boot in boots),
    )  # fmt: skip


def _rates(belief: Belief) -> tuple[float, float, float] | None:
    if not any(counts.losses for counts in belief.seen.counts.values()):
        return None
    total = np.cumsum(belief.shared_rate())
    low, middle, high = (
        float(belief.rates[min(int(np.searchsorted(total, each)), len(total) - 1)])
        for each in ((1 - CONFIDENCE) / 2, 0.5, (1 + CONFIDENCE) / 2)
    )
    return low, middle, high


def _change(belief: Belief, state: State) -> str:
    """Return what says that the loss rate changes along the history."""
    lost = belief.lost()
    series = sorted((c, counts) for c, counts in belief.seen.counts.items() if lost[c] > 0.9)
    if len(series) < 2:
        return ""
    losses = [counts.losses for _, counts in series]
    loads = [counts.loads for _, counts in series]
    odds = evidence(losses, loads) + np.log(1000 / (len(series) - 1))
    if odds < np.log(_ODDS):
        return ""
    return ", ".join(
        f"{state.history.candidates[c].name[:20]} {counts.losses} of {counts.loads}"
        for c, counts in series[:12]
    )


def most_named(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the candidates that an answer names."""
    return candidates[:MOST_NAMED]

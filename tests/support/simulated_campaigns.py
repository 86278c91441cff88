"""Campaigns whose loads are drawn, and counted by the product's own fold.

`simulate` draws what happens in each attempt of many campaigns. `verdict_of` writes one
campaign's attempts as the records of a journal, folds them and judges the cell, as
`losttick show` would.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaln

from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.counts import MAX_ATTEMPTS, CellState
from orchestrator.journal.fold import RunState, fold
from orchestrator.journal.records import HostRecord, RestartRecord
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.load import build_plan
from orchestrator.verdict.run import CellResult, judge_cell
from orchestrator.verdict.verdict import Verdict
from tests.support.records import heads, save_record

#: Campaigns a point. Fewer are quicker and find less: the bounds allow for the number.
CAMPAIGNS = int(os.environ.get("LOSTTICK_TEST_CAMPAIGNS", "1000"))

CONFIDENCE = 0.95

#: Trials of a campaign, unless it says otherwise: without a loss they rule out 1 %.
PLANNED = 299

LOADS = 25

Draw = Callable[[np.random.Generator, int], "np.ndarray"]


# --- loss rates of saves ---


def alike(rate: float) -> Draw:
    return lambda rng, size: np.full(size, rate)


def all_or_none(share: float) -> Draw:
    """Saves that always lose, in this share, among saves that never do."""
    return lambda rng, size: (rng.random(size) < share).astype(float)


def beta(a: float, b: float) -> Draw:
    return lambda rng, size: rng.beta(a, b, size)


def beta_losing(share: float, total: float, loads: int) -> Draw:
    """Beta rates with a + b = total, of which this share of saves loses one of its loads."""

    def excess(a: float) -> float:
        b = total - a
        return float(1 - np.exp(betaln(a, b + loads) - betaln(a, b)) - share)

    a = brentq(excess, 1e-9, total - 1e-9)
    return beta(a, total - a)


# --- what happens ---


@dataclass(frozen=True)
class Observer:
    """How often the observer errs."""

    stall: float = 0.0
    """Attempts that end unknown."""
    missed: float = 0.0
    """Losses that are called ticks."""
    misread: float = 0.0
    """Ticks that are called losses."""
    false_testimony: float = 0.0
    """Misread ticks that are diagnosed as the bug."""
    no_testimony: float = 0.02
    """True losses that are not diagnosed as the bug."""


#: What an attempt was, as bits: it began a new save; its outcome is known; it was lost; the
#: loss was diagnosed as the bug; and the number of the attempt at its trial.
NEW, KNOWN, LOST, DIAGNOSED, ATTEMPT = 1, 2, 4, 8, 16


@dataclass
class Campaigns:
    """The attempts of many campaigns."""

    planned: int
    loads_per_save: int
    steps: np.ndarray
    """One row an attempt, one column a campaign; 0 after a campaign's end."""
    controls_seen: np.ndarray

    def attempts(self, campaign: int) -> bytes:
        """Return one campaign's attempts."""
        column = self.steps[:, campaign]
        return column[column > 0].tobytes()


def simulate(
    draw: Draw,
    observer: Observer = Observer(),
    *,
    planned: int = PLANNED,
    loads_per_save: int = LOADS,
    seed: int = 1,
    size: int = CAMPAIGNS,
    stop_after: int | None = None,
) -> Campaigns:
    """Run campaigns as a cell does: a loss or a stall ends a save, and a stall is tried again.

    Args:
        draw: draws the loss rates of saves.
        observer: who errs.
        planned: trials of a campaign.
        loads_per_save: most loads of a save.
        seed: of the draws.
        size: number of campaigns.
        stop_after: diagnosed losses after which a campaign ends.
    """
    rng = np.random.default_rng(seed)
    found = np.zeros(size, dtype=int)
    trials, tries = np.zeros(size, dtype=int), np.zeros(size, dtype=int)
    loads, rate = np.full(size, loads_per_save), np.zeros(size)
    steps = []
    while (on := (trials < planned) & (found < (stop_after or planned + 1))).any():
        new = on & (loads >= loads_per_save)
        rate = np.where(new, draw(rng, size), rate)
        loads[new] = 0
        stalls = on & (rng.random(size) < observer.stall)
        known = on & ~stalls
        really = rng.random(size) < rate
        errs = rng.random(size) < np.where(really, observer.missed, observer.misread)
        lost = known & (really != errs)
        testifies = np.where(really, 1 - observer.no_testimony, observer.false_testimony)
        diagnosed = lost & (rng.random(size) < testifies)
        bits = NEW * new + KNOWN * known + LOST * lost + DIAGNOSED * diagnosed
        steps.append(((bits + ATTEMPT * (tries + 1)) * on).astype(np.uint8))
        tries = np.where(stalls, tries + 1, 0)
        given_up = tries == MAX_ATTEMPTS
        tries[given_up] = 0
        trials += known | given_up
        loads += known
        found += diagnosed
        loads[lost | stalls] = loads_per_save
    seen = rng.binomial(2, (1 - observer.missed) * (1 - observer.stall**3), size)
    return Campaigns(planned, loads_per_save, np.array(steps), seen)


# --- what the product makes of it ---


class Product:
    """A run of one cell, whose records are folded anew for each campaign."""

    def __init__(self, planned: int, loads_per_save: int) -> None:
        rule_out = 0.01 if planned != PLANNED else 1 - (1 - CONFIDENCE) ** (1 / PLANNED)
        axes = {"accel": "kvm", "loads_per_save": loads_per_save}
        limits = {"trials": planned, "rule_out": rule_out, "confidence": CONFIDENCE}
        plan = build_plan({"axes": axes, "limits": limits}, "simulated")
        self._state: RunState = fold(heads(plan))
        ((self._id, state),) = self._state.cells.items()
        self._begin = (RestartRecord(self._id, "simulated"), HostRecord(cell=self._id))
        self._save = save_record(state.cell, "save")
        self._trials = {code: self._trial(code) for code in range(0, ATTEMPT * 4, 2)}

    def _trial(self, code: int, role: Role = Role.HOST, number: int | None = None) -> TrialRecord:
        lost, known = bool(code & LOST), bool(code & KNOWN)
        outcome = Outcome.LOST if lost else Outcome.IMMEDIATE if known else Outcome.UNKNOWN
        cause = Cause.LOST_INTERRUPT if code & DIAGNOSED else Cause.UNEXPLAINED
        return TrialRecord(
            self._id, "save", outcome, role=role, number=number, attempt=code // ATTEMPT,
            ticks_after_load=0, diagnoses=(Diagnosis(cause, "simulated"),) if lost else (),
        )  # fmt: skip

    def fold(self, attempts: bytes, controls_seen: int = 2) -> CellState:
        """Fold the records of one campaign; return what the cell has counted."""
        apply, trials, save = self._state.apply, self._trials, self._save
        for record in self._begin:
            apply(record)
        for number in (1, 2):
            seen = KNOWN + LOST + DIAGNOSED if number <= controls_seen else KNOWN
            apply(self._trial(seen + ATTEMPT, Role.CONTROL, number))
        for code in attempts:
            if code & NEW:
                apply(save)
            apply(trials[code & ~NEW])
        return self._state.cells[self._id]

    def judge(self, attempts: bytes, controls_seen: int = 2) -> CellResult:
        """Return the result of one campaign."""
        return judge_cell(self.fold(attempts, controls_seen), self._state)


def verdicts(campaigns: Campaigns) -> Counter[Verdict]:
    """Return how often each verdict was reached. Equal campaigns are judged once."""
    product = Product(campaigns.planned, campaigns.loads_per_save)
    courses = Counter(
        (campaigns.attempts(campaign), int(seen))
        for campaign, seen in enumerate(campaigns.controls_seen)
    )
    found: Counter[Verdict] = Counter()
    for (attempts, seen), count in courses.items():
        found[product.judge(attempts, seen).verdict] += count
    return found

"""Campaigns on a simulated busy host, run by the product's own pairing, fold and verdict.

The host steals time in bursts. In a burst many ticks come late, after loads and shams alike.
The load may make some more ticks late.
"""

import random
from collections import Counter
from dataclasses import dataclass

from orchestrator.campaign.events import NO_PROGRESS
from orchestrator.campaign.shams import Shams
from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.counts import MAX_ATTEMPTS
from orchestrator.journal.fold import RunState, fold
from orchestrator.journal.records import HostRecord, Record, RestartRecord
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.load import build_plan
from orchestrator.verdict.run import CellResult, judge_cell
from orchestrator.verdict.verdict import Verdict
from tests.support.records import heads, save_record

#: Attempts that would fit into the time that a new instance takes: the host's state goes on.
INSTANCE_STEPS = 5

#: Loads of a campaign, unless it says otherwise.
PLANNED = 299


@dataclass(frozen=True)
class Noise:
    """How a host steals time from its guests."""

    in_bursts: float = 0.0
    """Share of ticks that come late in a burst."""
    between: float = 0.0
    """Share of ticks that come late between bursts."""
    burst: float = 20.0
    """Mean length of a burst, in attempts."""
    calm: float = 60.0
    """Mean time between bursts, in attempts."""
    unknown: float = 0.0
    """Share of attempts that end unknown in a burst."""


class _Host:
    """The state of the host from attempt to attempt."""

    def __init__(self, noise: Noise, rng: random.Random) -> None:
        self._noise, self._rng = noise, rng
        self._bursting = rng.random() < noise.burst / (noise.burst + noise.calm)

    def pass_by(self, steps: int = 1) -> None:
        for _ in range(steps):
            mean = self._noise.burst if self._bursting else self._noise.calm
            if self._rng.random() < 1 / mean:
                self._bursting = not self._bursting

    def outcome(self, effect: float) -> Outcome:
        """Return the outcome of an attempt whose load makes this share of ticks late."""
        self.pass_by()
        noise, rng = self._noise, self._rng
        if self._bursting and rng.random() < noise.unknown:
            return Outcome.UNKNOWN
        late = rng.random() < (noise.in_bursts if self._bursting else noise.between)
        late = late or rng.random() < effect
        return Outcome.LATE if late else Outcome.IMMEDIATE


class _Recorder:
    """Folds records, and writes none."""

    def __init__(self, state: RunState) -> None:
        self.state = state


class NoisyCampaigns:
    """Runs campaigns of one cell of a plan, one after another."""

    def __init__(self, planned: int = PLANNED, *, cells: int = 1) -> None:
        axes = {"accel": "kvm", "loads_per_save": list(range(1, cells + 1))}
        limits = {"trials": planned, "rule_out": 0.05 if planned < PLANNED else 0.011}
        plan = build_plan({"seed": 1, "axes": axes, "limits": limits}, "simulated")
        self._state = fold(heads(plan))
        self._planned = planned
        self._id, state = next(iter(self._state.cells.items()))
        self._begin: tuple[Record, ...] = (
            RestartRecord(self._id, "simulated"), HostRecord(cell=self._id),
            *(self._control(number) for number in (1, 2)), save_record(state.cell, "save"),
        )  # fmt: skip

    def _control(self, number: int) -> TrialRecord:
        found = (Diagnosis(Cause.LOST_INTERRUPT, "simulated"),)
        return TrialRecord(
            self._id, "control", Outcome.LOST, role=Role.CONTROL, number=number,
            ticks_after_load=0, diagnoses=found,
        )  # fmt: skip

    def run(self, noise: Noise, effect: float, seed: int) -> CellResult:
        """Run a campaign whose loads make a share of ticks late, beside the host's noise."""
        state, rng = self._state, random.Random(seed)
        host, attempt = _Host(noise, rng), 1
        for record in self._begin:
            state.apply(record)
        state.seed = seed  # the order of each pair is drawn from it
        cell = state.cells[self._id]
        shams = Shams(cell.cell, self._planned, _Recorder(state), NO_PROGRESS)  # type: ignore[arg-type]  # only its state is asked for
        while shams.loads_left:
            pair, role = shams.next_member or (None, Role.HOST)
            due = role is Role.SHAM
            outcome = host.outcome(0.0 if due else effect)
            state.apply(
                TrialRecord(
                    self._id,
                    "save",
                    outcome,
                    role=role,
                    pair=pair,
                    attempt=1 if due else attempt,
                )
            )
            if not due:
                unknown = outcome is Outcome.UNKNOWN and attempt < MAX_ATTEMPTS
                attempt = attempt + 1 if unknown else 1
            if not outcome.ticked:
                host.pass_by(INSTANCE_STEPS)
        return judge_cell(cell, state)


def verdicts(noise: Noise, effect: float, campaigns: int, **plan: int) -> Counter[Verdict]:
    """Return how often each verdict was reached."""
    runs = NoisyCampaigns(**plan)
    return Counter(runs.run(noise, effect, seed).verdict for seed in range(campaigns))

"""Late ticks: whether they are the load's work or the host's.

`late` and `missed` need a baseline, because ticks come late on a busy host without a load
too. From the first late tick on a cell pairs each load with a sham. An exact McNemar test of
the discordant pairs decides. The other anomalies need no baseline.
"""

from collections.abc import Mapping

from orchestrator.findings.outcome import LATE as _LATE
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.pairing import FIRST_LOOK
from orchestrator.stats.pairs import POWER, PairCounts, detectable_excess, p_value, pairs_needed
from orchestrator.verdict.case import Case, Finding, Tally
from orchestrator.verdict.verdict import Verdict

#: Outcomes that are anomalous only beyond the host's own noise, the graver first.
LATE = (Outcome.MISSED, Outcome.LATE)
assert frozenset(LATE) == _LATE

#: Probability that ticks are called late by mistake in any cell of a run.
ERROR = 0.01

#: Share of the error that the first reading of the test gets. A load that makes nearly all
#: ticks late is called so after a few pairs.
_FIRST_LOOK_SHARE = 0.1

#: Excess of late ticks that a campaign should be able to show.
TARGET_EXCESS = 0.05

#: Fewest pairs that a cell runs, unless the first reading of the test has decided, or the plan
#: has fewer loads.
FEWEST_PAIRS = 100

#: With pairs that could show only a greater excess than this, nothing is known of late ticks,
#: unless the plan asks for no more pairs.
MOST_EXCESS = 0.25


def _levels(cells: int) -> tuple[float, float]:
    """Return the largest p-values that reject: at the first reading, and at the last."""
    error = ERROR / cells
    return error * _FIRST_LOOK_SHARE, error * (1 - _FIRST_LOOK_SHARE)


def pairs_to_run(cells: int, planned: int) -> int:
    """Return how many pairs a cell runs, if its first late tick comes late in the campaign.

    They are at most as many as the planned loads: a small campaign does not grow to many
    times its size. The first reading of the test always has its pairs.

    Args:
        cells: cells of the run, which share the error.
        planned: planned number of loads.
    """
    wanted = max(FEWEST_PAIRS, pairs_needed(TARGET_EXCESS, _levels(cells)[1]))
    return min(wanted, max(planned, FIRST_LOOK))


def decided_early(first_look: PairCounts | None, cells: int) -> bool:
    """Return whether the first pairs alone show that the loads make ticks late."""
    return first_look is not None and p_value(first_look) <= _levels(cells)[0]


def _telling(case: Case) -> PairCounts | None:
    """Return the pairs that show that the loads make ticks late; None if none do."""
    tally = case.tally
    if decided_early(tally.first_pairs, tally.cells):
        return tally.first_pairs
    return tally.pairs if p_value(tally.pairs) <= _levels(tally.cells)[1] else None


def _shown_excess(case: Case) -> float | None:
    """Return the excess that the pairs could have shown; None if they could show none."""
    pairs = case.tally.pairs
    if not pairs.pairs:
        return None
    background = pairs.discordant / pairs.pairs / 2
    return detectable_excess(pairs.pairs, background, _levels(case.tally.cells)[1])


def late_anomalies(case: Case) -> Mapping[Outcome, int]:
    """Return the late ticks that are the load's work, by outcome; empty if they are noise."""
    if _telling(case) is None:
        return {}
    return {outcome: case.tally.outcomes[outcome] for outcome in LATE}


def too_few_pairs(case: Case) -> Finding | None:
    """Return `inconclusive` if ticks came late and too few pairs tell whether loads did it."""
    tally, shown = case.tally, _shown_excess(case)
    late = sum(tally.outcomes[outcome] for outcome in LATE)
    enough = shown is not None and shown <= MOST_EXCESS
    if not late or enough or _small_plan_is_done(tally):
        return None
    less = "" if shown is None else f" that the loads cause an excess of less than {shown:.0%}"
    return Finding(
        Verdict.INCONCLUSIVE,
        f"{late} of {tally.trials} loads had a late tick, and {tally.pairs.pairs} pairs of a load "
        f"and a sham (stop and continue without a load) are too few to show{less or ' why'}. Run "
        "it again while the host is less busy, or with more --trials",
    )


def _small_plan_is_done(tally: Tally) -> bool:
    """Return whether all pairs were run that a plan of few loads asks for."""
    wanted = pairs_to_run(tally.cells, tally.planned or tally.trials)
    return wanted < FEWEST_PAIRS and tally.pairs.pairs >= wanted


def late_note(case: Case, found: Finding) -> str | None:
    """Return what late ticks show about the loads, as a sentence; None if none came."""
    tally = case.tally
    late = sum(tally.outcomes[outcome] for outcome in LATE)
    if not late:
        return None
    telling = _telling(case)
    pairs = telling or tally.pairs
    compared = (
        f"In {pairs.pairs} pairs of a load and a sham (stop and continue without a load), "
        f"{pairs.treated_only} times only the load had a late tick and {pairs.untreated_only} "
        f"times only the sham"
    )
    if telling:
        return (
            f"{compared}: the loads make ticks late (exact McNemar test, p = {p_value(pairs):.2g})"
        )
    noted = (
        f"{late} of {tally.trials} loads had a late tick, which counts as `indistinct`. {compared}"
    )
    few, shown = too_few_pairs(case), _shown_excess(case)
    if shown is None:
        if few and found.says_rates:
            return None  # the finding says it
        if not pairs.pairs:
            return (
                f"{late} of {tally.trials} loads had a late tick. No sham (stop and continue "
                "without a load) tells whether loads make ticks late"
            )
        return f"{noted}. So few pairs can't show that loads make ticks late"
    acquitted = ""
    if pairs.untreated_only and not few:
        acquitted = ": the host is busy, and the loads are not to blame"
    return (
        f"{noted}{acquitted}. So many pairs would have shown, with a probability of {POWER:.0%}, "
        f"an excess of {shown:.1%} of loads with a late tick"
    )

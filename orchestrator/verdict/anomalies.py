"""The rule of `anomalous`: something is wrong with the ticks, and it is not a known bug."""

from orchestrator.findings.outcome import Outcome
from orchestrator.verdict.case import Case, Finding, said_causes
from orchestrator.verdict.known_bug import likeness_notes, why_not_the_bug
from orchestrator.verdict.late import LATE, late_anomalies
from orchestrator.verdict.verdict import Verdict

#: Outcomes that need no baseline: no busy host brings them about.
CERTAIN = (
    Outcome.LOST, Outcome.RECOVERED, Outcome.CRASHED, Outcome.CLOCK, Outcome.RATE, Outcome.EXTRA,
    Outcome.EARLY, Outcome.NOT_LOADED,
)  # fmt: skip

#: The order in which a verdict names them.
_ORDER = (CERTAIN[0], LATE[0], *CERTAIN[1:], *LATE[1:])


def anomalous(case: Case) -> Finding | None:
    """Return `anomalous` if a load did what no load should do and no busy host does."""
    tally = case.tally
    counts = {outcome: tally.outcomes[outcome] for outcome in CERTAIN} | dict(late_anomalies(case))
    shown = ", ".join(f"{counts[each]} {each}" for each in _ORDER if counts.get(each))
    if not shown:
        return None
    causes = said_causes(tally)
    return Finding(
        Verdict.ANOMALOUS,
        f"{shown} in {tally.trials} loads"
        + (f" ({causes})" if causes else "")
        + f"; {why_not_the_bug(case)}",
        notes=likeness_notes(case),
    )

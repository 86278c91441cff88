"""The colours and signs of the page. Each colour stands beside a sign or a place of its own.

The colours are those of Okabe and Ito, which people with any kind of colour vision can tell
apart. The style sheet has a second set for dark screens.
"""

from collections.abc import Mapping

from orchestrator.findings.outcome import Outcome
from orchestrator.verdict.verdict import Verdict

#: The sign of each verdict.
SIGNS: Mapping[Verdict, str] = {
    Verdict.CLEAN: "✓",
    Verdict.AFFECTED: "✗",
    Verdict.ANOMALOUS: "!",
    Verdict.INCONCLUSIVE: "?",
    Verdict.SKIPPED: "–",  # noqa: RUF001  # a dash that is as wide as the other signs
}

#: The colour of each name, as charts are drawn with it. The page replaces the colours by classes
#: of these names.
COLOURS: Mapping[str, str] = {
    "clean": "#009e73",
    "affected": "#d55e00",
    "anomalous": "#cc79a7",
    "inconclusive": "#e69f00",
    "skipped": "#8c8c8c",
    "normal": "#0072b2",
    "odd": "#b07aa1",
    "unknown": "#9a9a9a",
    "line": "#123456",
}


def outcome_colour(outcome: Outcome) -> str:
    """Return the colour of an outcome in charts."""
    if outcome.ticked:
        name = "normal"
    elif outcome is Outcome.LOST:
        name = "affected"
    elif outcome is Outcome.UNKNOWN:
        name = "unknown"
    else:
        name = "odd"
    return COLOURS[name]

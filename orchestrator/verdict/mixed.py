"""Cells whose first ticks do not tell how the kernel restores a timer."""

from orchestrator.findings.outcome import Outcome
from orchestrator.verdict.case import Case, Finding

#: Fewest first ticks of the rarer class: a single one may be a measurement's error.
_FEWEST = 2

#: Share of loads whose first tick may fit several classes without a word about it.
_MOST_INDISTINCT = 0.5

#: Fewest loads of which such a share says something.
_FEWEST_LOADS = 100


def mixed_note(case: Case, found: Finding) -> str | None:
    """Return how many first ticks had each of two classes of which a kernel has one.

    A busy host can delay a first tick by a whole period. So nothing is said if as many ticks came
    late only in shams.
    """
    tally = case.tally
    at_once, later = (
        tally.outcomes[each] + tally.on_other_vcpus[each]
        for each in (Outcome.IMMEDIATE, Outcome.FULL_PERIOD)
    )
    if min(at_once, later) < _FEWEST or later <= tally.pairs.untreated_only:
        return None
    vcpus = " (on all vCPUs)" if tally.vcpus > 1 else ""
    return (
        f"The first tick came at once after {at_once} loads and after a whole period after "
        f"{later}{vcpus}: a kernel does the one or the other (commit 8e6ed96cdd50), so something "
        "else decides here from load to load"
    )


def indistinct_note(case: Case, found: Finding) -> str | None:
    """Return that most first ticks fit several classes, so that nobody knows the kernel's."""
    trials, indistinct = case.tally.trials, case.tally.outcomes[Outcome.INDISTINCT]
    if trials < _FEWEST_LOADS or indistinct <= _MOST_INDISTINCT * trials:
        return None
    return (
        f"The first ticks after {indistinct} of {trials} loads fit several classes (`indistinct`), "
        "so it is not known whether this kernel's come at once or after a whole period"
    )

"""Rules about the observer: without them, loads without a loss can't be trusted."""

from orchestrator.verdict.case import Case, Finding, said_causes
from orchestrator.verdict.verdict import Verdict

#: Largest fraction of unknown attempts with which a cell can be clean.
MAX_UNKNOWN = 0.05


def too_many_unknown(case: Case) -> Finding | None:
    """Return `inconclusive` if too many attempts ended unknown."""
    tally = case.tally
    if tally.unknown_attempts <= MAX_UNKNOWN * tally.attempts:
        return None
    causes = said_causes(tally)
    return Finding(
        Verdict.INCONCLUSIVE,
        f"{tally.unknown_attempts} of {tally.attempts} attempts ended unknown, "
        f"more than {MAX_UNKNOWN:.0%}" + (f" ({causes})" if causes else ""),
        trusted=False,
        notes=("Run it again while the host is less busy, or with a longer --period",),
    )


def controls_not_seen(case: Case) -> Finding | None:
    """Return `inconclusive` if an injected loss was not seen, or if none was injected."""
    tally = case.tally
    if tally.controls and tally.controls_seen >= tally.controls:
        return None
    return Finding(
        Verdict.INCONCLUSIVE,
        f"only {tally.controls_seen} of {tally.controls} injected losses were seen: "
        "a real loss might have been missed too",
        trusted=False,
        notes=(
            "The evidence folders of the controls say why. Run it again while the host is less busy"
            + case.ending.resumed("takes a control again of which nothing is known")
            if tally.controls
            else "This guest or this run has no control",
        ),
    )

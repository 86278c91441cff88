"""The rule of `affected`: diagnosed losses that match a known bug, on a host not immune."""

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import ExposureState
from orchestrator.findings.outcome import SURPLUS, Outcome
from orchestrator.verdict.case import Case, Finding
from orchestrator.verdict.verdict import Verdict
from orchestrator.verdict.witness import testified


def affected(case: Case) -> Finding | None:
    """Return `affected` if the losses diagnosed as the known bug show it on this host.

    They do if they are too many to be the observer's errors and the host is not known to be
    immune. Then the cell is affected whatever else happened.
    """
    tally = case.tally
    if tally.bug_losses < case.sure or case.exposure.state is ExposureState.NOT_EXPOSED:
        return None
    return Finding(
        Verdict.AFFECTED,
        f"{tally.bug_losses} of {tally.trials} loads lost the timer's interrupt, as the "
        f"{APICV_BUG.name} does{testified(case)}",
        notes=likeness_notes(case),
    )


def why_not_the_bug(case: Case) -> str:
    """Return why the anomalies of a cell that is not affected are not the known bug."""
    tally, exposure = case.tally, case.exposure
    if tally.bug_losses and exposure.state is ExposureState.NOT_EXPOSED:
        return f"{exposure.why}, so this is not the {APICV_BUG.name}"
    if tally.bug_losses:
        return (
            f"{tally.bug_losses} diagnosed as the {APICV_BUG.name} could be the observer's error "
            f"in so many loads: {case.sure} are needed to be sure"
        )
    if not tally.outcomes[Outcome.LOST]:
        return f"no load lost its timer, so this is not the {APICV_BUG.name}"
    causes = APICV_BUG.signature.causes
    if any(tally.causes[cause] for cause in causes):
        said = f"the {APICV_BUG.name} {APICV_BUG.effect}"
        surplus = sum(tally.on_other_vcpus[each] for each in SURPLUS)
        return f"{said} and brings none to another vCPU, which {surplus} had" if surplus else said
    return f"none was diagnosed as a {' or '.join(sorted(causes))}"


def likeness_notes(case: Case) -> tuple[str, ...]:
    """Return which known bugs the trials look like, as sentences."""
    return tuple(str(each).rstrip(".") for each in case.likenesses)

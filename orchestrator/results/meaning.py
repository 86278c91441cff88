"""The meaning of a verdict for this host, in words."""

from orchestrator.bugs.catalogue import APICV_BUG, NARROW_RACE
from orchestrator.bugs.exposure import ExposureState
from orchestrator.findings.outcome import STOPPED, Outcome
from orchestrator.findings.series import DirectCounts
from orchestrator.findings.witness import Says
from orchestrator.results.sentence import sentence
from orchestrator.results.words import CAUSES, OUTCOMES
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Verdict


def meaning(run: RunResult) -> str:
    """Return what was seen, and what that shows and does not show about this host."""
    if run.telling.verdict is run.verdict:
        meant = cell_meaning(run.telling)
        if run.verdict is Verdict.SKIPPED and (untested := _untested(run)):
            return f"{untested}{run.telling.why.rstrip('.')}."
        return meant
    surprising = [
        f"{each.cell.id} is {each.verdict}, not {each.expected}"
        for each in run.cells
        if each.expected not in (None, each.verdict)
    ]
    return (
        f"Arms whose answer is known got another one ({'; '.join(surprising)}), so this run shows "
        "nothing about the other kernels."
    )


def _untested(run: RunResult) -> str:
    """Return how many cells were asked for and not tested, if others were."""
    untested = [each for each in run.cells if each.verdict is Verdict.SKIPPED and not each.accepted]
    if len(untested) == len(run.cells):
        return ""
    was = "was" if len(untested) == 1 else "were"
    of = f"{len(untested)} of {len(run.cells)} cells {was} not tested"
    return f"{of}, so this run is not clean. The reason, for {untested[0].cell.id}: "


def cell_meaning(result: CellResult) -> str:
    """Return what was seen in a cell, and what that shows about its host."""
    return f"{sentence(result.why)} {_shows(result)}"


def explained(result: CellResult) -> dict[str, str]:
    """Return the outcomes other than normal ticks and the causes of a cell, in plain words."""
    outcomes = {o: words for o, words in OUTCOMES.items() if result.classes[o]}
    causes = {cause: words for cause, words in CAUSES.items() if result.counts.causes[cause]}
    return {
        **{str(o): words for o, words in outcomes.items() if not o.ticked},
        **{str(cause): words for cause, words in causes.items()},
    }


def _shows(result: CellResult) -> str:
    exposed = result.exposure
    match result.verdict:
        case Verdict.AFFECTED:
            this = "This is" if result.witnessed else "This has the testimony of"
            return (
                f"{this} the {APICV_BUG.name}: guests on this host freeze when a snapshot is "
                f"loaded. {APICV_BUG.advice}"
            )
        case Verdict.ANOMALOUS:
            return f"{_known(result)} {_evidence(result)}"
        case Verdict.INCONCLUSIVE:
            return "This is no evidence for or against this host."
        case Verdict.SKIPPED:
            return "Nothing was learnt about this cell."
        case Verdict.CLEAN if exposed.state is ExposureState.EXPOSED:
            return (
                f"The {APICV_BUG.name} could have shown here ({exposed.why}) and would have frozen "
                f"nearly every load, so this kernel does not have the bug.{_race(result)}"
            )
        case Verdict.CLEAN if exposed.state is ExposureState.NOT_EXPOSED:
            return (
                f"The {APICV_BUG.name} can't show here ({exposed.why}), so this says nothing about "
                "the same kernel on Intel hardware with APICv."
            )
        case _:
            return (
                f"It is not known whether the {APICV_BUG.name} could have shown here "
                f"({exposed.why}), so this is only weak evidence."
            )


def _known(result: CellResult) -> str:
    """Return what an anomalous cell has to do with the bug."""
    if _may_be_the_bug(result):
        return f"This may be the {APICV_BUG.name}, seen too rarely to be sure."
    if result.counts.outcomes[Outcome.LOST]:
        return f"This is not the {APICV_BUG.name}, but ticks do not go on as they should."
    return "Ticks do not go on as they should."  # the reason says that it is not the bug


def _may_be_the_bug(result: CellResult) -> bool:
    """Return whether losses of an anomalous cell look like the bug and nothing speaks against it.

    Such losses are too few to be sure that the observer did not err.
    """
    return (
        result.counts.bug_losses > 0
        and result.exposure.state is not ExposureState.NOT_EXPOSED
        and not any(each.says is Says.CONTRADICTS for each in result.witnesses)
    )


def _race(result: CellResult) -> str:
    """Return what a clean cell leaves open if its kernel restores timers as old kernels do.

    A first tick after a full period shows that the kernel lacks 8e6ed96cdd50, and nothing about
    9cfec6d097c6, without which it has the narrow race.
    """
    counts = result.counts
    asked = isinstance(counts.direct_test, DirectCounts)
    if asked or counts.outcomes[Outcome.FULL_PERIOD] <= counts.outcomes[Outcome.IMMEDIATE]:
        return ""
    return (
        f" The first tick came after a full period, so it may have the {NARROW_RACE.name}, which "
        f"{NARROW_RACE.effect}. `losttick probe` tells."
    )


def _evidence(result: CellResult) -> str:
    """Return what the evidence folders of a cell have: a hang is examined, a tick is not."""
    counted = [outcome for outcome in result.classes if not outcome.ticked]
    said = []
    if any(outcome in STOPPED for outcome in counted):
        said.append("what was read at each hang")
    if any(outcome not in STOPPED and outcome is not Outcome.UNKNOWN for outcome in counted):
        said.append("the lines of the ticks that went wrong, with their times by each clock")
    return f"The evidence folders have {' and '.join(said)}." if said else ""

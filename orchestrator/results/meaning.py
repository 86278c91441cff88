"""The meaning of a verdict for this host, in words."""

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import ExposureState
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Verdict


def meaning(run: RunResult) -> str:
    """Return what was seen, and what that shows and does not show about this host."""
    telling = next((c for c in run.cells if c.verdict is run.verdict), None)
    if telling is None:
        return "Nothing was run, so nothing is known about this host."
    return f"{_seen(telling)} {_shows(telling)}"


def _seen(result: CellResult) -> str:
    text = result.why.rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _shows(result: CellResult) -> str:
    exposed = result.exposure
    match result.verdict:
        case Verdict.AFFECTED:
            return f"Guests on this host freeze when a snapshot is loaded: {APICV_BUG.advice}"
        case Verdict.ANOMALOUS:
            return (
                "This is not the known bug, but ticks do not go on as they should. The evidence "
                "folders have what was read at each hang."
            )
        case Verdict.INCONCLUSIVE:
            return "This is no evidence for or against this host."
        case Verdict.SKIPPED:
            return "Nothing was learnt about this host."
        case Verdict.CLEAN if exposed.state is ExposureState.EXPOSED:
            return (
                f"The {APICV_BUG.name} could have shown here ({exposed.why}) and would have frozen "
                "nearly every load, so this kernel does not have the bug."
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

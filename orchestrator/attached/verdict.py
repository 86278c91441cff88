"""The verdict of trials in a guest that ran already."""

from dataclasses import dataclass

from orchestrator.attached.trials import Trials
from orchestrator.bugs.exposure import Exposure, ExposureState
from orchestrator.look.look import Condition
from orchestrator.stats.bounds import ruled_out
from orchestrator.stats.rate import Losses, LossRate, loss_rate
from orchestrator.verdict.verdict import Verdict
from orchestrator.verdict.witness import unwitnessed

#: Largest share of loads whose outcome may be unknown.
MOST_UNKNOWN = 0.05


@dataclass(frozen=True, slots=True)
class AttachResult:
    """The verdict, the counts, and what they mean."""

    verdict: Verdict
    why: str
    """The reason as a clause without a full stop."""
    loads: int
    frozen: int
    """Loads after which the guest was frozen."""
    by_bug: int
    """Those that left what the APICv bug leaves."""
    unknown: int
    saves: int
    evidence: int
    """Loads of saves that could show the bug."""
    rate: LossRate
    """The rate of freezes over loads."""
    over_saves: float | None
    """Without a freeze: the rate that is ruled out even if freezes depend on the save, so that
    only the first load of each save counts."""


def conclude(trials: Trials, exposure: Exposure, confidence: float) -> AttachResult:
    """Return the verdict of trials.

    Args:
        trials: what was seen.
        exposure: whether the host could show the bug.
        confidence: confidence of each bound.
    """
    loads = trials.loads
    frozen = sum(each.condition.frozen for each in loads)
    by_bug = sum(each.condition is Condition.FROZEN_BY_BUG for each in loads)
    unknown = sum(each.condition not in _KNOWN for each in loads)
    known = len(loads) - unknown
    rate = loss_rate(Losses(known, frozen, unknown, planned=trials.planned), confidence)
    saves = len({each.save for each in loads})
    evidence = sum(each.evidence for each in loads)
    verdict, why = _decide(trials, exposure, frozen, by_bug, unknown, evidence)
    clear = known and not frozen and not unknown
    return AttachResult(
        verdict,
        why,
        len(loads),
        frozen,
        by_bug,
        unknown,
        saves,
        evidence,
        rate,
        ruled_out(saves, confidence) if clear else None,
    )


_KNOWN = (Condition.ALIVE, Condition.FROZEN_BY_BUG, Condition.FROZEN_OTHERWISE)


def _decide(
    trials: Trials, exposure: Exposure, frozen: int, by_bug: int, unknown: int, evidence: int
) -> tuple[Verdict, str]:
    loads = len(trials.loads)
    if by_bug:
        return Verdict.AFFECTED, (
            f"after {frozen} of {loads} loads the guest was frozen, after {by_bug} of them as by "
            f"the APICv bug ({unwitnessed('`losttick probe`')})"
        )
    if frozen:
        return Verdict.ANOMALOUS, (
            f"after {frozen} of {loads} loads the guest was frozen, but not as by the APICv bug: "
            + next(each.why for each in trials.loads if each.condition.frozen)
        )
    if not loads:
        return Verdict.INCONCLUSIVE, trials.ended or "nothing was loaded"
    if unknown > MOST_UNKNOWN * loads:
        first = next(each.why for each in trials.loads if each.condition not in _KNOWN)
        return Verdict.INCONCLUSIVE, f"of {loads} loads {unknown} have no known outcome: {first}"
    if trials.ended:
        return Verdict.INCONCLUSIVE, trials.ended
    if not evidence:
        return (
            Verdict.INCONCLUSIVE,
            f"the guest went on after all {loads} loads, but {_no_save(trials)}",
        )
    why = f"the guest went on after all {loads} loads"
    if exposure.state is ExposureState.NOT_EXPOSED:
        why += f"; this shows nothing about the APICv bug, because {exposure.why}"
    return Verdict.CLEAN, why


def _no_save(trials: Trials) -> str:
    """Return why no save could show the bug."""
    lapics = [lapic for saved in trials.saves for lapic in saved.lapics if lapic]
    if any(lapic.comes_once and lapic.armed_ns is not None for lapic in lapics):
        stops = max(saved.stops for saved in trials.saves)
        return (
            "no save could show the bug: the guest has a one-shot timer, but at each of "
            f"{stops} stops its interrupt was already pending or was being handled, as in a guest "
            "that gets too little CPU time. Try again when the host is less busy"
        )
    return (
        "in no save was a one-shot timer of its LAPIC armed, which the bug needs: it ticks by "
        "another timer, such as TSC-deadline (start it with -cpu …,-tsc-deadline to test)"
    )

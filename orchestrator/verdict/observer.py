"""Rules about the observer: without them, loads without a loss can't be trusted."""

import math

from orchestrator.findings.outcome import Outcome
from orchestrator.verdict.case import Case, Finding, said_causes
from orchestrator.verdict.verdict import Verdict

#: Largest fraction of unknown attempts with which a cell can be clean.
MAX_UNKNOWN = 0.05

#: A cell that runs more loads than planned, so that few of its attempts are unknown, makes at most
#: so many times as many attempts as planned. A small cell may make this number.
MOST_TIMES_PLANNED = 2
MOST_OF_SMALL_CELL = 60

#: Fewest saves that came to nothing with which a cell is not clean: one may be an accident.
FEWEST_FAILED_SAVES = 3


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


def loads_beside_unknown(attempts: int, unknown: int, planned: int) -> int:
    """Return how many more loads of known outcome make the unknown attempts few enough.

    One stall of the host is more than 5 % of a small cell's attempts. It is 0 if the unknown
    attempts are few already, or if they would need so many loads that the host is to blame.

    Args:
        attempts: all attempts of the cell.
        unknown: how many of them ended unknown.
        planned: planned number of loads.
    """
    enough = math.ceil(unknown / MAX_UNKNOWN)
    most = max(MOST_TIMES_PLANNED * planned, MOST_OF_SMALL_CELL)
    return max(enough - attempts, 0) if enough <= most else 0


def loaded_guests_not_saved(case: Case) -> Finding | None:
    """Return `inconclusive` if too many guests could not be saved again after their loads.

    Each of them is one unknown attempt beside many loads, so there are never too many of those.
    """
    failed, tried = case.failed_saves, case.failed_saves + case.saves_again
    if failed < FEWEST_FAILED_SAVES or failed <= MAX_UNKNOWN * tried:
        return None
    return Finding(
        Verdict.INCONCLUSIVE,
        f"{failed} of {tried} saves of a guest that had been loaded came to nothing, more than "
        f"{MAX_UNKNOWN:.0%}: nothing is known of such a guest from then on",
        trusted=False,
        notes=(
            f"The last time, {case.failed_save_why.rstrip('.')}. "
            "Run it again while the host is less busy",
        ),
    )


def control_not_restored(case: Case) -> Finding | None:
    """Return `inconclusive` if no load shows that it restores the timer, and none lost one.

    The running guest's own timer brings ticks, too, after a load that leaves the timer alone. A
    kernel that loses the interrupt of a control's restored timer loses those of other loads. Where
    no timer runs in the saves, as with a tick that is pending in them, the loads restore none.
    """
    tally = case.tally
    if not tally.unrestored or tally.outcomes[Outcome.LOST] or not case.timer_in_saves:
        return None
    return Finding(
        Verdict.INCONCLUSIVE,
        f"in a control, {tally.unrestored}: a real loss might have been missed",
        trusted=False,
        notes=(
            f"The evidence folder of that control says more. {case.ask_witness_by} tells whether "
            "the kernel restores a timer without QEMU",
        ),
    )


def control_note(case: Case, found: Finding) -> str | None:
    """Return what a control shows of running timers, where the loads of the cell have none."""
    if not case.tally.unrestored or case.timer_in_saves:
        return None
    return (
        f"In a control, {case.tally.unrestored}. No timer runs in the saves of this cell: "
        "`--state armed` tests what becomes of one"
    )


def controls_not_seen(case: Case) -> Finding | None:
    """Return `inconclusive` if an injected loss was not seen, or if none was injected."""
    tally = case.tally
    if tally.controls and tally.controls_seen >= tally.controls:
        return None
    if tally.unrestored:
        advice = f"In a control, {tally.unrestored}: its evidence folder says more"
    elif tally.controls:
        advice = (
            "The evidence folders of the controls say why. Run it again while the host is less busy"
        ) + case.ending.resumed("takes a control again of which nothing is known")
    else:
        advice = "This guest or this run has no control"
    return Finding(
        Verdict.INCONCLUSIVE,
        f"only {tally.controls_seen} of {tally.controls} injected losses were seen: "
        "a real loss might have been missed too",
        trusted=False,
        notes=(advice,),
    )

"""The built-in control: on which vCPU it is, and whether its injected loss was seen."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import LATE, Outcome
from orchestrator.journal.trial_record import TrialRecord
from orchestrator.plan.cell import Cell
from orchestrator.timers.registry import TIMERS
from orchestrator.timers.timer import Timer


@dataclass(frozen=True, slots=True)
class Control:
    """The result of one run of the built-in control."""

    seen: bool
    outcome: Outcome
    cause: Cause | None
    sentence: str
    unrestored: str = ""
    """The grounds on which its load restored no timer, or lost its interrupt; empty without any."""


def control_subject(number: int, vcpus: int) -> int:
    """Return the vCPU that swallows its ticks in the control with this number, from 1.

    The last vCPU is the subject of the first control, the one before it of the second.
    """
    return -number % vcpus


def control_seen(
    timer: Timer, outcomes: Mapping[int, Outcome], causes: Mapping[int, Cause], subject: int
) -> bool:
    """Return whether an injected loss was seen for what it is, on the vCPU that it was made on.

    The other vCPUs must tick on, unless the load lost their interrupts as well: then the
    host has the bug. They may tick late, as on a busy host: only shams tell what that means.

    Args:
        timer: by which the guest ticks.
        outcomes: of the trial, by vCPU.
        causes: of each silence, by vCPU.
        subject: the vCPU.
    """

    def lost(vcpu: int) -> bool:
        return timer.control_lost(outcomes[vcpu], causes.get(vcpu))

    others = outcomes.keys() - {subject}
    return subject in outcomes and lost(subject) and all(
        outcomes[vcpu].ticked or outcomes[vcpu] in LATE or lost(vcpu) for vcpu in others
    )  # fmt: skip


def control_of(cell: Cell, trial: TrialRecord) -> Control:
    """Return the result of a trial in the control's role."""
    subject = control_subject(trial.number or 1, cell.vcpus)
    parts = {part.vcpu: part for part in trial.vcpus}
    found = {diagnosis.vcpu: diagnosis for diagnosis in trial.diagnoses}
    outcomes = {vcpu: part.outcome for vcpu, part in parts.items()}
    causes = {vcpu: diagnosis.cause for vcpu, diagnosis in found.items()}
    part = parts.get(subject, trial)
    return Control(
        seen=control_seen(TIMERS[cell.mode], outcomes, causes, subject),
        outcome=part.outcome,
        cause=causes.get(subject),
        sentence=found[subject].sentence if subject in found else part.why,
        unrestored=trial.unrestored,
    )

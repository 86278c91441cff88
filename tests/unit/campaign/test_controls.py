"""Tries of a control that say nothing about the observer, and tries that do."""

import pytest

from orchestrator.campaign.controls import spoiled
from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.evidence import Evidence, VcpuEvidence
from orchestrator.findings.outcome import Outcome, VcpuResult
from orchestrator.guest import lines
from orchestrator.guest.state import Stage
from orchestrator.timers.registry import TIMERS
from orchestrator.trial.examine import Hang
from tests.support.guest_states import ticking

TESTIMONY = lines.Testimony(1, 0x40, 1, 0, 0, 0, 0, 0, 0, 9, 6, 7, 0x246, 0xF000, 0x34)


def hang(cause: Cause, stage: Stage = Stage.CONTROL_SILENT, testimonies: int = 3) -> Hang:
    part = VcpuEvidence(memory=[ticking(stage=stage)], testimonies=[TESTIMONY] * testimonies)
    return Hang(Evidence(vcpus=(part,)), (Diagnosis(cause, "", 0),))


def result(outcome: Outcome, late: float = 0.0) -> VcpuResult:
    return VcpuResult(outcome, late_periods=late)


@pytest.mark.parametrize(
    ("mode", "outcome", "found"),
    [
        ("one-shot", Outcome.LOST, hang(Cause.LOST_INTERRUPT)),
        ("periodic", Outcome.MISSED, None),
        ("periodic", Outcome.LOST, hang(Cause.PENDING, Stage.CONTROL_WINDOW)),
    ],
)
def test_a_loss_that_was_seen_is_no_spoiled_try(
    mode: str, outcome: Outcome, found: Hang | None
) -> None:
    assert not spoiled(TIMERS[mode], result(outcome), found)


@pytest.mark.parametrize(
    ("mode", "outcome", "found"),
    [
        ("one-shot", Outcome.IMMEDIATE, None),
        ("periodic", Outcome.FULL_PERIOD, None),
        ("periodic", Outcome.INDISTINCT, None),
        ("one-shot", Outcome.LOST, hang(Cause.NOT_RESTORED)),
        ("one-shot", Outcome.LOST, hang(Cause.WRONG_VECTOR)),
        ("one-shot", Outcome.LOST, hang(Cause.UNEXPLAINED)),
    ],
)
def test_a_loss_that_was_overlooked_or_misread_stays_unseen(
    mode: str, outcome: Outcome, found: Hang | None
) -> None:
    """Tried again, an observer that misses half of the losses would look reliable."""
    assert not spoiled(TIMERS[mode], result(outcome), found)


@pytest.mark.parametrize(
    ("mode", "part", "found", "why"),
    [
        ("periodic", result(Outcome.INDISTINCT, 3.2), None, "the host delayed ticks"),
        (
            "one-shot",
            result(Outcome.LOST),
            hang(Cause.WRONG_VECTOR, Stage.CONTROL_WINDOW),
            "while the control's window lasted",
        ),
        ("one-shot", result(Outcome.LOST), hang(Cause.UNEXPLAINED, testimonies=1), "to testify"),
    ],
)
def test_a_try_that_the_host_s_stall_spoiled_is_repeated(
    mode: str, part: VcpuResult, found: Hang | None, why: str
) -> None:
    assert why in spoiled(TIMERS[mode], part, found)

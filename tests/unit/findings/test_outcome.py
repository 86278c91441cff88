"""What several vCPUs amount to: in a trial, a save, a control, and on one console."""

import pytest

from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine

IMMEDIATE = Outcome.IMMEDIATE


def of(*outcomes: Outcome) -> TrialResult:
    return combine([VcpuResult(outcome, vcpu=vcpu) for vcpu, outcome in enumerate(outcomes)])


@pytest.mark.parametrize(
    ("outcomes", "vcpu"),
    [
        ((IMMEDIATE, Outcome.INDISTINCT), 0),
        ((Outcome.INDISTINCT, IMMEDIATE), 0),
        ((IMMEDIATE, Outcome.MISSED), 1),
        ((IMMEDIATE, Outcome.MISSED, Outcome.UNKNOWN), 2),
        ((Outcome.UNKNOWN, Outcome.RECOVERED), 1),
        ((Outcome.RECOVERED, Outcome.CRASHED), 1),
        ((Outcome.UNKNOWN, IMMEDIATE, Outcome.LOST), 2),
        ((Outcome.CRASHED, Outcome.LOST, Outcome.LOST), 1),
    ],
)
def test_a_trial_is_what_the_gravest_of_its_vcpus_is(
    outcomes: tuple[Outcome, ...], vcpu: int
) -> None:
    whole = of(*outcomes)
    assert (whole.outcome, whole.telling) == (outcomes[vcpu], vcpu)
    assert [each.outcome for each in whole.vcpus] == list(outcomes)


def test_a_trial_of_one_vcpu_is_that_one() -> None:
    one = VcpuResult(IMMEDIATE, why="seen", ticks_after_load=2)
    whole = combine([one])
    assert whole.vcpus == (one,)
    assert (whole.outcome, whole.why, whole.ticks_after_load) == (IMMEDIATE, "seen", 2)

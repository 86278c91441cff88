"""Loads that change the divisor of the timer's clock, so that a tick comes many periods late."""

from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FakeQemu, FakeVcpu
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import journal_dicts


def late_by(times: int, *, divided: bool) -> Behaviour:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = vcpu.ran_ns + times * qemu.period_ns
        vcpu.pace = times
        vcpu.divide = times if divided else 1

    return on_load


async def sentence(tmp_path: Path, behaviour: Behaviour, cause: Cause, **axes: object) -> str:
    result, _ = await campaign(tmp_path, only_ordinary(behaviour), trials=2, **axes)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.LOST: 2}, cell.why
    assert cell.counts.causes == {cause: 2}, cell.why
    assert cell.verdict is Verdict.ANOMALOUS
    told = next(
        each for each in journal_dicts(result.journal)
        if each["record"] == "trial" and each["role"] == "host" and each["outcome"] == "lost"
    )  # fmt: skip
    return str(told["diagnosis"]["sentence"])


@pytest.mark.parametrize("times", [14, 16, 20, 32, 64, 128])
@pytest.mark.parametrize("axes", [{}, {"wait": "halt"}, {"vcpus": 2}])
async def test_another_divisor_is_said_whatever_look_the_tick_comes_at(
    tmp_path: Path, times: int, axes: dict[str, object]
) -> None:
    late = late_by(times, divided=True)
    said = await sentence(tmp_path, late, Cause.NOT_RESTORED, **axes)
    assert f"the timer's clock is divided by {times}, and was by 1 in the save" in said


@pytest.mark.parametrize("times", [14, 16, 20])
async def test_a_tick_that_nobody_saw_pending_was_perhaps_late(tmp_path: Path, times: int) -> None:
    said = await sentence(tmp_path, late_by(times, divided=False), Cause.CAME_BACK)
    assert "ticks came back at" in said
    assert "pending: the look may have brought it, or the timer was late" in said

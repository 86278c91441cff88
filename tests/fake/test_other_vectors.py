"""Interrupts on other vectors, while the guest's own ticks go on: only its memory shows them."""

from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FakeQemu, FakeVcpu, immediate
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import journal_dicts


@pytest.mark.parametrize("field", ["swallowed", "strays"])
@pytest.mark.parametrize("axes", [{}, {"cycle": "chain"}, {"method": "loadvm"}, {"vcpus": 2}])
async def test_an_interrupt_on_another_vector_is_said(
    tmp_path: Path, field: str, axes: dict[str, object]
) -> None:
    """Only the last load of a save brings one; a load would hide what an earlier one brought."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        setattr(vcpu, field, getattr(vcpu, field) + (vcpu.vcpu == qemu.config.vcpus - 1))

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=3, **axes)
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    assert cell.counts.outcomes[Outcome.EXTRA] >= 1
    assert set(cell.counts.causes) == {Cause.WRONG_VECTOR}
    assert not cell.likenesses
    told = next(r for r in journal_dicts(result.journal) if r.get("outcome") == "extra")
    assert "it took 1 interrupt(s) on" in told["why"]
    assert told.get("vcpu", 0) == axes.get("vcpus", 1) - 1  # type: ignore[operator]


async def test_a_late_tick_beside_one_is_no_noise_of_the_host(tmp_path: Path) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = vcpu.ran_ns + 3 * qemu.period_ns
        vcpu.strays += 2

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=2)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.EXTRA: 2}
    assert cell.counts.causes == {Cause.WRONG_VECTOR: 2}
    assert cell.verdict is Verdict.ANOMALOUS


async def test_those_from_before_the_first_save_are_no_load_s_work(tmp_path: Path) -> None:
    def before(qemu: FakeQemu) -> None:
        for vcpu in qemu.vcpus:
            vcpu.strays = 3

    script = only_ordinary(immediate)
    script.on_command["stop"] = before
    result, _ = await campaign(tmp_path, script, trials=5)
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why


async def test_the_next_save_tells(tmp_path: Path) -> None:
    """At the last look the interrupt would have been from before the save that was loaded last."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.strays += number == 1

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=3, cycle="chain")
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.IMMEDIATE: 2, Outcome.EXTRA: 2}

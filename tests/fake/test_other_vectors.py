"""Interrupts on other vectors, while the guest's own ticks go on: only its memory shows them."""

from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FakeQemu, FakeVcpu, immediate, lost
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
        vcpu.strays, vcpu.stray = vcpu.strays + 2, 80

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=2)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.EXTRA: 2}
    assert cell.counts.causes == {Cause.WRONG_VECTOR: 2}
    told = next(r for r in journal_dicts(result.journal) if r.get("outcome") == "extra")
    assert "2 interrupt(s) on vectors that it never uses (the last one on 80)" in told["why"]
    assert cell.verdict is Verdict.ANOMALOUS


async def test_spurious_ones_are_no_finding_while_ticks_go_on(tmp_path: Path) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.spurious += 1

    result, _ = await campaign(tmp_path, only_ordinary(on_load))
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why


async def test_spurious_ones_from_before_the_save_explain_no_silence(tmp_path: Path) -> None:
    def before(qemu: FakeQemu) -> None:
        for vcpu in qemu.vcpus:
            vcpu.spurious = 3

    script = only_ordinary(lost)
    script.on_command["stop"] = before
    result, _ = await campaign(tmp_path, script, trials=2)
    assert set(result.cells[0].counts.causes) == {Cause.LOST_INTERRUPT}


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
        vcpu.stray = 49

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=3, cycle="chain")
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.IMMEDIATE: 2, Outcome.EXTRA: 2}
    told = next(r for r in journal_dicts(result.journal) if r.get("outcome") == "extra")
    assert "(the last one on 49)" in told["why"]
    assert told["why"].count("interrupt(s)") == 1  # the save and the look say the same

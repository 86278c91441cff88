"""What only a script can do to one of several vCPUs, while the others tick on."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.testing import FakeHost, FakeQemu, FakeVcpu, Script, immediate
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

Breaks = Callable[[FakeQemu, FakeVcpu], None]

VCPUS = 3


async def campaign(
    out: Path, broken: dict[int, Breaks], trials: int = 1
) -> tuple[CellResult, list[dict[str, Any]]]:
    """Run a cell whose ordinary loads break some vCPUs; return its host arm's trials, too."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if vcpu.vcpu in broken and not qemu.config.control_tick:
            broken[vcpu.vcpu](qemu, vcpu)

    plan = build_plan(
        {
            "seed": 1,
            "axes": {"accel": "kvm", "period_ms": 100, "vcpus": VCPUS},
            "limits": {"trials": trials, "rule_out": 0.9},
        },
        "test",
    )
    result = await run_plan(FakeHost(Script(on_load)), plan, Accel.KVM, out)
    (cell,) = result.cells
    assert [control.seen for control in cell.counts.controls] == [True, True], cell.why
    trials_of_host = [
        record
        for record in journal_dicts(result.journal)
        if record["record"] == "trial" and record["role"] == "host"
    ]
    return cell, trials_of_host


def lose(qemu: FakeQemu, vcpu: FakeVcpu) -> None:
    vcpu.due_ns = None


def recover(qemu: FakeQemu, vcpu: FakeVcpu) -> None:
    vcpu.due_ns = vcpu.ran_ns + 11 * qemu.period_ns


def miss(qemu: FakeQemu, vcpu: FakeVcpu) -> None:
    vcpu.due_ns = vcpu.ran_ns + 3 * qemu.period_ns


def wait_for(look: str) -> Breaks:
    """Leave the interrupt pending until a look brings it."""

    def break_it(qemu: FakeQemu, vcpu: FakeVcpu) -> None:
        vcpu.due_ns, vcpu.pending = None, look

    return break_it


def slow_down(qemu: FakeQemu, vcpu: FakeVcpu) -> None:
    vcpu.pace = 1.05


@pytest.mark.parametrize("vcpu", range(VCPUS))
async def test_a_period_that_is_longer_on_any_vcpu(tmp_path: Path, vcpu: int) -> None:
    cell, _ = await campaign(tmp_path, {vcpu: slow_down}, trials=40)
    assert all(kind.ticked for kind, number in cell.counts.outcomes.items() if number)
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    assert f"the timer's period of vCPU {vcpu} is 5.0% longer after loads" in cell.why
    assert "changed as well" not in cell.why


async def test_the_journal_has_the_first_times_between_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.journal.gap_samples.MOST", 10)
    _, trials = await campaign(tmp_path, {}, trials=60)
    for vcpu in range(VCPUS):
        parts = [part for trial in trials for part in trial["vcpus"] if part["vcpu"] == vcpu]
        numbers = [len(part["gaps"]) for part in parts if part.get("gaps")]
        assert sum(numbers[:-1]) < 10 <= sum(numbers)


async def test_all_tick_on(tmp_path: Path) -> None:
    cell, trials = await campaign(tmp_path, {}, trials=3)
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert all([one["vcpu"] for one in trial["vcpus"]] == [0, 1, 2] for trial in trials)


@pytest.mark.parametrize("vcpu", range(VCPUS))
async def test_a_loss_names_its_vcpu(tmp_path: Path, vcpu: int) -> None:
    cell, (trial,) = await campaign(tmp_path, {vcpu: lose})
    assert cell.verdict is Verdict.AFFECTED
    assert cell.counts.lost_by_vcpu == {vcpu: 1}
    assert cell.counts.causes == {Cause.LOST_INTERRUPT: 1}
    assert (trial["vcpu"], trial["diagnosis"]["vcpu"]) == (vcpu, vcpu)
    assert trial["vcpus"][vcpu]["outcome"] == "lost"
    others = [one for one in trial["vcpus"] if one["vcpu"] != vcpu]
    assert len(others) == VCPUS - 1
    assert all(Outcome(one["outcome"]).ticked for one in others)


async def test_several_are_lost_in_one_load(tmp_path: Path) -> None:
    cell, _ = await campaign(tmp_path, {0: lose, 2: lose})
    assert cell.counts.outcomes == {Outcome.LOST: 1}
    assert cell.counts.lost_by_vcpu == {0: 1, 2: 1}
    assert "Losses by vCPU: 1 on 0, 1 on 2" in cell.why


async def test_one_that_recovers_hides_no_loss(tmp_path: Path) -> None:
    cell, (trial,) = await campaign(tmp_path, {1: recover, 2: lose})
    assert (trial["outcome"], trial["vcpu"]) == ("lost", 2)
    first, *others = (Outcome(one["outcome"]) for one in trial["vcpus"])
    assert first.ticked
    assert others == [Outcome.RECOVERED, Outcome.LOST]
    assert cell.verdict is Verdict.AFFECTED


async def test_one_that_recovers_is_odd(tmp_path: Path) -> None:
    cell, (trial,) = await campaign(tmp_path, {1: recover})
    assert (trial["outcome"], trial["vcpu"]) == ("recovered", 1)
    assert cell.verdict is Verdict.ANOMALOUS


async def test_one_that_misses_a_tick_is_named(tmp_path: Path) -> None:
    cell, (trial, *paired) = await campaign(tmp_path, {2: miss})
    assert (trial["outcome"], trial["vcpu"]) == ("missed", 2)
    assert trial["missing_periods"] == 2
    assert all(each["pair"] for each in paired)
    assert cell.verdict is Verdict.ANOMALOUS


@pytest.mark.parametrize("look", ["info lapic", "inject-nmi"])
@pytest.mark.parametrize(("cured", "lost"), [(0, 1), (2, 0)])
async def test_a_look_that_cures_one_is_no_evidence_of_another(
    tmp_path: Path, look: str, cured: int, lost: int
) -> None:
    """Each vCPU is looked at by itself; and the one that the bug took counts."""
    cell, (trial,) = await campaign(tmp_path, {cured: wait_for(look), lost: lose})
    assert (trial["outcome"], trial["vcpu"]) == ("lost", lost)
    causes = {one["vcpu"]: one["cause"] for one in trial["diagnoses"]}
    assert causes == {cured: Cause.PENDING, lost: Cause.LOST_INTERRUPT}
    assert cell.verdict is Verdict.AFFECTED


async def test_a_vcpu_that_stays_halted_is_lost_beside_others_that_tick(tmp_path: Path) -> None:
    """Its own CPU time tells, not theirs."""

    def halt(qemu: FakeQemu, vcpu: FakeVcpu) -> None:
        vcpu.halted = True

    cell, trials = await campaign(tmp_path, {1: halt})
    assert {trial["outcome"] for trial in trials} == {"lost"}
    assert {trial["vcpu"] for trial in trials} == {1}
    assert cell.counts.causes == {Cause.HALTED: 1}
    assert cell.verdict is Verdict.ANOMALOUS


def give_to(vcpu: int, at: float) -> Breaks:
    """Lose the tick to another vCPU, which takes it beside its own, so much later."""

    def break_it(qemu: FakeQemu, one: FakeVcpu) -> None:
        def take() -> None:
            qemu.vcpus[vcpu].due_ns = qemu.vcpus[vcpu].ran_ns

        one.due_ns = None
        qemu.do_later(int(at * qemu.period_ns), take)

    return break_it


@pytest.mark.parametrize("at", [0.3, 0.7])
@pytest.mark.parametrize(("one", "other"), [(1, 0), (0, 1), (2, 0)])
async def test_a_tick_that_goes_to_another_vcpu_is_not_the_bug(
    tmp_path: Path, one: int, other: int, at: float
) -> None:
    """The bug loses an interrupt. It does not misroute it."""
    cell, trials = await campaign(tmp_path, {one: give_to(other, at)}, trials=6)
    assert {(trial["outcome"], trial["vcpu"]) for trial in trials} == {("lost", one)}
    assert cell.counts.causes == {Cause.LOST_INTERRUPT: 6}
    assert {trial["vcpus"][other]["outcome"] for trial in trials} <= {"extra", "early"}
    assert cell.counts.bug_losses == 0
    assert cell.verdict is Verdict.ANOMALOUS
    assert "brings none to another vCPU, which 6 had" in cell.why


async def test_an_extra_tick_in_some_trials_leaves_the_losses_of_the_others(
    tmp_path: Path,
) -> None:
    """Only the trials with such a tick are no losses by the bug."""

    turns = itertools.cycle([lose, give_to(0, 0.3)])

    def sometimes(qemu: FakeQemu, vcpu: FakeVcpu) -> None:
        next(turns)(qemu, vcpu)

    cell, trials = await campaign(tmp_path, {1: sometimes}, trials=8)
    plain = [t for t in trials if Outcome(t["vcpus"][0]["outcome"]).ticked]
    assert 0 < len(plain) < 8
    assert cell.counts.bug_losses == len(plain)

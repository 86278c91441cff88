"""A host that gets too busy to measure pauses the campaign, which says so."""

from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.testing import FakeHost, FakeQemu, FakeVcpu, Script, immediate, lost
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.heard import Heard
from tests.support.journal import journal_dicts

PLAN = build_plan(
    {
        "axes": {"period_ms": 100, "loads_per_save": 1},
        "limits": {"trials": 3, "rule_out": 0.7},
        "controls": 0,
    },
    "test",
)


@pytest.mark.parametrize("pressure", [[0.0] * 3 + [90.0, 90.0, 10.0], []])
async def test_unknown_attempts_pause_the_campaign(tmp_path: Path, pressure: list[float]) -> None:
    stalled: list[int] = []

    def stall_thrice(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if len(stalled) < 3:
            stalled.append(number)
            qemu.frozen = True

    host = FakeHost(Script(stall_thrice))
    host.pressure = list(pressure)
    result = await run_plan(host, PLAN, Accel.KVM, tmp_path)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.UNKNOWN: 1, Outcome.IMMEDIATE: 2}
    assert cell.verdict is Verdict.INCONCLUSIVE
    (pause,) = [r for r in journal_dicts(result.journal) if r["record"] == "pause"]
    looks = len(pressure[3:]) or 3  # without a measure: a tenth of the longest
    assert 5e9 * looks * 0.8 <= pause["ns"] < 5e9 * (looks + 4)
    assert host.pressure == []


@pytest.mark.parametrize(
    ("stalls", "verdict", "attempts"),
    [
        ({4}, Verdict.CLEAN, 20),
        ({4, 9}, Verdict.CLEAN, 40),
        ({4, 18}, Verdict.CLEAN, 40),  # the second one while the cell grows
        ({4, 7, 10, 12}, Verdict.INCONCLUSIVE, 16),  # no more loads would be enough
    ],
)
async def test_a_few_stalls_do_not_cost_a_small_cell_its_verdict(
    tmp_path: Path, stalls: set[int], verdict: Verdict, attempts: int
) -> None:
    loads = 0

    def stall_now_and_then(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        nonlocal loads
        immediate(qemu, vcpu, number)
        if not qemu.config.control_tick:
            loads += 1
            qemu.frozen = loads in stalls

    plan = build_plan(
        {
            "axes": {"accel": "kvm", "period_ms": 100, "loads_per_save": 5},
            "limits": {"trials": 12, "rule_out": 0.3},
        },
        "test",
    )
    host, heard = FakeHost(Script(stall_now_and_then)), Heard()
    host.pressure = [0.0] * 100
    result = await run_plan(host, plan, Accel.KVM, tmp_path, heard)  # type: ignore[arg-type]
    (cell,) = result.cells
    assert (cell.verdict, cell.counts.attempts) == (verdict, attempts), cell.why
    assert cell.counts.unknown_attempts == len(stalls)
    grows = [note for note in heard.notes if "more loads than planned are run" in note]
    assert len(grows) == (verdict is Verdict.CLEAN)
    if stalls == {4}:
        assert "1 of 13 attempts ended unknown, more than 5%. 7 more loads than" in grows[0]
        assert "the 1 unknown attempts was a loss" in cell.why


async def test_a_loss_ends_a_cell_whatever_else_is_unknown(tmp_path: Path) -> None:
    loads = 0

    def stall_then_lose(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        nonlocal loads
        (lost if loads == 8 else immediate)(qemu, vcpu, number)
        if not qemu.config.control_tick:
            loads += 1
            qemu.frozen = loads == 4

    plan = build_plan({"axes": {"accel": "kvm", "period_ms": 100}, "limits": {"trials": 12}}, "")
    result = await run_plan(FakeHost(Script(stall_then_lose)), plan, Accel.KVM, tmp_path)
    (cell,) = result.cells
    assert cell.counts.outcomes[Outcome.LOST] == 1
    assert cell.counts.attempts == 13


async def test_a_busy_host_is_waited_for_before_a_qemu_is_started(tmp_path: Path) -> None:
    host = FakeHost(Script(immediate))
    host.pressure = [99.0, 95.0, 60.0, 39.0]
    heard = Heard()
    result = await run_plan(host, PLAN, Accel.KVM, tmp_path, heard)  # type: ignore[arg-type]
    records = journal_dicts(result.journal)
    (pause,) = [r for r in records if r["record"] == "pause"]
    assert pause["why"] == "the host is busy: in 99 % of the last 10 s some task waited for a CPU"
    assert 15e9 <= pause["ns"] < 20e9
    kinds = [r["record"] for r in records]
    assert kinds.index("pause") < kinds.index("instance")
    assert heard.notes[:2] == [
        f"{result.cells[0].cell.id}: {pause['why']}; pausing for at most 30 s",
        f"{result.cells[0].cell.id}: continuing after 15 s",
    ]
    assert result.verdict is Verdict.INCONCLUSIVE  # it has no controls
    assert result.cells[0].counts.trials == 3


async def test_a_host_that_stays_busy_is_measured_as_it_is(tmp_path: Path) -> None:
    """The cells of a run wait for half a minute, all together."""
    plan = build_plan(
        {
            "axes": {"period_ms": 100, "loads_per_save": [1, 2, 3]},
            "limits": {"trials": 3, "rule_out": 0.7},
        },
        "test",
    )
    host = FakeHost(Script(immediate))
    host.pressure = [99.0] * 1000
    result = await run_plan(host, plan, Accel.KVM, tmp_path)
    assert result.verdict is Verdict.CLEAN
    pauses = [r for r in journal_dicts(result.journal) if r["record"] == "pause"]
    assert 30e9 <= sum(pause["ns"] for pause in pauses) < 36e9


async def test_a_host_on_which_nothing_can_be_measured_is_given_up(tmp_path: Path) -> None:
    def stall(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        qemu.frozen = True

    plan = build_plan(
        {
            "axes": {"period_ms": 100},
            "limits": {"trials": 299},
            "controls": 0,
        },
        "test",
    )
    host = FakeHost(Script(stall))
    host.pressure = [0.0] * 4 + [99.0] * 1000
    result = await run_plan(host, plan, Accel.KVM, tmp_path)
    (cell,) = result.cells
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert "measuring on a busy host: " in cell.why
    assert "pauses did not help. Run this cell again while the host is less busy" in cell.why
    assert cell.counts.trials < 10
    pauses = [r for r in journal_dicts(result.journal) if r["record"] == "pause"]
    assert 300e9 <= sum(pause["ns"] for pause in pauses) < 345e9


async def test_a_host_that_gets_busy_while_a_qemu_runs_is_waited_for(tmp_path: Path) -> None:
    """One QEMU can run for all trials of a cell: the host is asked meanwhile, too."""
    plan = build_plan(
        {
            "axes": {"period_ms": 100, "loads_per_save": 5},
            "limits": {"trials": 300},
            "controls": 0,
        },
        "test",
    )
    answers: list[float] = []

    class GetsBusy(FakeHost):
        async def pressure_percent(self) -> float | None:
            return answers.pop(0) if answers else 20.0

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if number == 100:
            answers[:] = [97.0, 97.0]  # as the QEMU is to go on, and before the next one

    result = await run_plan(GetsBusy(Script(on_load)), plan, Accel.KVM, tmp_path)
    assert result.cells[0].counts.trials == 300
    kinds = [r["record"] for r in journal_dicts(result.journal)]
    assert kinds.count("pause") == 2  # one in each of the two QEMUs with 100 loads
    first = kinds.index("pause")
    assert 100 <= kinds[:first].count("trial") <= 150
    assert kinds[:first].count("instance") == 1
    assert kinds[first + 1] == "instance"


async def test_a_busy_host_is_waited_for_before_a_period_is_measured(tmp_path: Path) -> None:
    plan = build_plan({"limits": {"trials": 3, "rule_out": 0.7}, "controls": 0}, "test")
    host = FakeHost(Script(immediate))
    host.pressure = [99.0, 20.0]
    result = await run_plan(host, plan, Accel.KVM, tmp_path)
    kinds = [r["record"] for r in journal_dicts(result.journal)]
    assert kinds.count("pause") == 1
    assert kinds.index("pause") < kinds.index("period") < kinds.index("instance")

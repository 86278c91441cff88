"""An attempt that a signal or a kill cut off is not forgotten: people end a run that hangs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import OUTPUTS, output
from orchestrator.results.report import read_report
from orchestrator.results.result import read_result
from orchestrator.testing import FakeQemu, FakeVcpu, Script, full_period, immediate
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from tests.support.cut_short_runs import go_on
from tests.support.fake_campaigns import campaign
from tests.support.journal import journal_dicts

TRIALS = 30

PLAN = build_plan(
    {
        "axes": {"period_ms": 100, "loads_per_save": 5},
        "limits": {"trials": TRIALS, "rule_out": 0.5},
        "seed": 7,
    },
    "test",
)

#: What QEMU is asked while a silent guest is watched and examined, in this order.
LOOKS = ["query-status", "pmemsave", "info lapic", "query-stats", "info registers", "inject-nmi"]


def silent(qemu: FakeQemu, vcpu: FakeVcpu) -> None:
    vcpu.due_ns = None


def later(qemu: FakeQemu, vcpu: FakeVcpu) -> None:
    vcpu.ticks_left = 12


async def end_at(out: Path, look: str, *, killed: bool, hang: Any = silent) -> None:
    """Run until QEMU gets a command while a guest hangs; a killed run writes nothing more."""
    hung: dict[FakeQemu, int] = {}
    journal, seen = out / "journal.jsonl", b""

    def load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if number == 5 and not (hung or qemu.config.control_tick):
            hung[qemu] = qemu.clock.now_ns()
            hang(qemu, vcpu)

    async def asked(qemu: FakeQemu) -> None:
        nonlocal seen
        silent_ns = qemu.clock.now_ns() - hung.get(qemu, qemu.clock.now_ns())
        if silent_ns > 4 * qemu.period_ns and qemu.vcpus[0].due_ns is None and not seen:
            seen = journal.read_bytes()
            run.cancel()
            await asyncio.sleep(3600)

    run = asyncio.create_task(go_on(out, Script(load, {look: asked}), plan=PLAN))
    await asyncio.wait([run])
    assert run.cancelled()
    assert seen
    if killed:
        journal.write_bytes(seen)


async def resumed(out: Path) -> CellResult:
    result = await go_on(out, Script(immediate), plan=PLAN)
    (cell,) = result.cells
    assert read_result(out) == result
    assert cell.counts.outcomes.total() == TRIALS
    return cell


@pytest.mark.parametrize("look", LOOKS)
async def test_a_hang_that_a_signal_cut_off_is_counted(look: str, tmp_path: Path) -> None:
    await end_at(tmp_path, look, killed=False)
    cell = await resumed(tmp_path)
    lost = cell.counts.outcomes[Outcome.LOST]
    if look == LOOKS[0]:  # QEMU is asked whether it answers: the silence is not proven yet
        assert (lost, cell.counts.unknown_attempts) == (0, 1)
        assert "the 1 unknown attempts was a loss" in cell.why
        return
    assert (lost, cell.counts.unknown_attempts, cell.verdict) == (1, 0, Verdict.ANOMALOUS)
    assert f"1 lost in {TRIALS} loads (1 unexplained)" in cell.why
    (record,) = [r for r in journal_dicts(tmp_path / "journal.jsonl") if r.get("outcome") == "lost"
                 and r["role"] == "host"]  # fmt: skip
    assert record["why"].endswith("; the run ended before this was examined")
    assert (tmp_path / record["evidence"] / "console.txt").read_text()
    for kind, entry in OUTPUTS.items():
        if entry.file:
            assert output(kind).render([read_report(tmp_path)], OutputOptions()), kind


@pytest.mark.parametrize("look", LOOKS)
async def test_a_hang_in_which_the_run_was_killed_is_counted(look: str, tmp_path: Path) -> None:
    await end_at(tmp_path, look, killed=True)
    cell = await resumed(tmp_path)
    assert (cell.counts.attempts, cell.counts.unknown_attempts) == (TRIALS + 1, 1)
    assert "the 1 unknown attempts was a loss" in cell.why


@pytest.mark.parametrize("killed", [True, False])
async def test_a_guest_that_falls_silent_before_its_next_save_is_not_forgotten(
    killed: bool, tmp_path: Path
) -> None:
    await end_at(tmp_path, "query-status", killed=killed, hang=later)
    cell = await resumed(tmp_path)
    assert cell.counts.unknown_attempts + cell.counts.outcomes[Outcome.LOST] == 1


@pytest.mark.parametrize("killed", [True, False])
async def test_a_second_cut_counts_once_more(killed: bool, tmp_path: Path) -> None:
    for _ in range(2):
        await end_at(tmp_path, "query-status", killed=killed)
    cell = await resumed(tmp_path)
    assert (cell.counts.attempts, cell.counts.unknown_attempts) == (TRIALS + 2, 2)
    assert cell.verdict is Verdict.INCONCLUSIVE, "that is more than 5 %"


@pytest.mark.parametrize(
    ("behaviour", "axes"),
    [
        (immediate, {}),
        (full_period, {}),
        (immediate, {"vcpus": 2}),
        (immediate, {"method": "loadvm"}),
        (immediate, {"pause_before_cont": "3 periods"}),
        (immediate, {"state": "pending"}),
        (immediate, {"cycle": "chain"}),
        (immediate, {"mode": "periodic"}),
    ],
)
async def test_loads_whose_ticks_go_on_are_not_noted(
    behaviour: Behaviour, axes: dict[str, object], tmp_path: Path
) -> None:
    """A million of them would make the journal twice as large."""
    result, _ = await campaign(tmp_path, Script(behaviour), trials=30, **axes)
    assert result.cells[0].counts.trials == 30
    assert not [r for r in journal_dicts(result.journal) if r["record"] == "overdue"]

"""A save, or nothing at all, stops the timer of a guest that was never loaded."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.process.exit import ProcessExit
from orchestrator.testing import FakeHost, FakeQemu, Script, immediate
from orchestrator.testing.clock import FakeClock
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

TRIALS = 20

End = Callable[[FakeQemu], None]


def silent(qemu: FakeQemu) -> None:
    qemu.vcpus[0].due_ns = None


def crashed(qemu: FakeQemu) -> None:
    qemu.end(ProcessExit(-signal.SIGABRT, "assertion failed"))


def killed(qemu: FakeQemu) -> None:
    qemu.end(ProcessExit(-signal.SIGKILL, ""))


def starved(qemu: FakeQemu) -> None:
    qemu.frozen = True


def suspended(qemu: FakeQemu) -> None:
    silent(qemu)
    FakeClock.suspended += 3600 * 1_000_000_000


def refused(qemu: FakeQemu) -> None:
    crashed_for_room = ProcessExit(-signal.SIGABRT, "qemu_thread_create: Cannot allocate memory")
    qemu.end(crashed_for_room)


@pytest.fixture(autouse=True)
def awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeClock, "suspended", 0)


def after_saves(end: End, wanted: Callable[[int], bool]) -> Script:
    """Return a script by which some guests come to an end as they run on after their first save.

    Args:
        end: what becomes of such a guest.
        wanted: whether it becomes of the guest of the n-th save, from 0.
    """
    saved: list[FakeQemu] = []

    def savevm(qemu: FakeQemu) -> None:
        if not qemu.config.control_tick and qemu not in saved:
            saved.append(qemu)

    def cont(qemu: FakeQemu) -> None:
        if qemu in saved and qemu not in gone and wanted(saved.index(qemu)):
            gone.append(qemu)
            asyncio.get_running_loop().call_soon(end, qemu)

    gone: list[FakeQemu] = []
    return Script(immediate, {"savevm": savevm, "cont": cont})


async def run(out: Path, script: Script, **axes: object) -> CellResult:
    plan = build_plan(
        {"axes": {"period_ms": 100, "accel": "kvm", **axes},
         "limits": {"trials": TRIALS, "rule_out": 0.5}, "seed": 2}, "test",
    )  # fmt: skip
    resumed: Any = read_run(out) if any(out.iterdir()) else None
    (cell,) = (await run_plan(FakeHost(script), plan, Accel.KVM, out, resumed=resumed)).cells
    return cell


@pytest.mark.parametrize("axes", [{"cycle": "fresh"}, {"loads_per_save": 4}, {"method": "loadvm"}])
@pytest.mark.parametrize(("end", "outcome"), [(silent, Outcome.LOST), (crashed, Outcome.CRASHED)])
async def test_one_guest_that_a_save_stopped_forbids_clean(
    axes: dict[str, object], end: End, outcome: Outcome, tmp_path: Path
) -> None:
    cell = await run(tmp_path, after_saves(end, lambda number: number == 0), **axes)
    assert cell.counts.trials == TRIALS
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert cell.counts.stopped_unloaded == {outcome: 1}
    assert cell.why.startswith(f"ticks stopped without a load 1 time (1 {outcome}), so")
    assert not cell.ended.failed


@pytest.mark.parametrize("end", [killed, starved, suspended, refused])
async def test_an_end_that_has_another_reason_does_not(end: End, tmp_path: Path) -> None:
    cell = await run(tmp_path, after_saves(end, lambda number: number == 0), cycle="fresh")
    assert any(r["record"] == "failure" for r in journal_dicts(tmp_path / "journal.jsonl"))
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert not cell.counts.stopped_unloaded


async def test_a_resumed_run_does_not_forget_it(tmp_path: Path) -> None:
    cell = await run(tmp_path, after_saves(silent, lambda number: number > 3), cycle="fresh")
    assert cell.why.startswith("the campaign ended early, after 4 of 20 loads"), cell.why
    assert "Ticks stopped without a load 3 times (3 lost)" in cell.why
    cell = await run(tmp_path, Script(immediate), cycle="fresh")
    assert (cell.verdict, cell.counts.trials) == (Verdict.INCONCLUSIVE, TRIALS)
    assert cell.why.startswith("ticks stopped without a load 3 times (3 lost)")
    assert "The last time: waiting for a tick of the guest: no tick in " in cell.why

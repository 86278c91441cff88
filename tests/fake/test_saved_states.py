"""Saves of guests that hold their LAPIC in another state than plainly armed."""

from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.saved_state import SavedState
from orchestrator.journal.file import JOURNAL
from orchestrator.plan.load import build_plan
from orchestrator.testing import (
    FakeHost,
    FakeQemu,
    FakeVcpu,
    Script,
    full_period,
    immediate,
    lost,
    only_in_trials,
)
from orchestrator.testing.script import Behaviour, Command
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

PENDING, IN_SERVICE = SavedState.PENDING, SavedState.IN_SERVICE
MASKED, TPR = SavedState.MASKED, SavedState.TPR


async def campaign(
    out: Path, state: SavedState, behaviour: Behaviour, **commands: Command
) -> CellResult:
    plan = build_plan(
        {
            "seed": 1,
            "axes": {"accel": "kvm", "period_ms": 100, "state": state},
            "limits": {"trials": 3, "rule_out": 0.7},
        },
        "test",
    )
    host = FakeHost(Script(only_in_trials(behaviour), commands))
    (cell,) = (await run_plan(host, plan, Accel.KVM, out)).cells
    assert [control.seen for control in cell.counts.controls] == [True, True], cell.why
    return cell


@pytest.mark.parametrize(
    ("state", "behaviour", "outcome"),
    [
        (PENDING, immediate, Outcome.IMMEDIATE),
        (PENDING, full_period, Outcome.IMMEDIATE),
        (PENDING, lost, Outcome.IMMEDIATE),  # its tick was in the save: no load can lose it
        (IN_SERVICE, immediate, Outcome.IMMEDIATE),
        (IN_SERVICE, full_period, Outcome.FULL_PERIOD),
        (MASKED, immediate, Outcome.FULL_PERIOD),
        (MASKED, lost, Outcome.FULL_PERIOD),  # the guest arms its timer again
        (TPR, immediate, Outcome.IMMEDIATE),
        (TPR, full_period, Outcome.IMMEDIATE),
    ],
)
async def test_what_is_right_in_each_state(
    tmp_path: Path, state: SavedState, behaviour: Behaviour, outcome: Outcome
) -> None:
    cell = await campaign(tmp_path, state, behaviour)
    assert cell.counts.outcomes == {outcome: 3}, cell.why
    assert cell.verdict is Verdict.CLEAN


async def test_stops_that_land_after_the_next_tick(tmp_path: Path) -> None:
    """The next stop comes so much sooner: by the time between ticks, which is over a period."""
    stops = 0

    async def stop_late(qemu: FakeQemu) -> None:
        nonlocal stops
        if not qemu.config.control_tick:
            stops += 1
            await qemu.clock.sleep(int((0.1 if stops == 1 else 0.6) * qemu.period_ns))

    cell = await campaign(tmp_path, PENDING, immediate, stop=stop_late)
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert cell.counts.trials == 3


@pytest.mark.parametrize("state", [IN_SERVICE, TPR])
async def test_a_tick_that_is_held_back_can_be_lost(tmp_path: Path, state: SavedState) -> None:
    cell = await campaign(tmp_path, state, lost)
    assert cell.counts.causes == {Cause.LOST_INTERRUPT: 3}, cell.why


async def test_a_tick_before_the_hold_ends_is_wrong(tmp_path: Path) -> None:
    def ignore_the_mask(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.held_until_ns, vcpu.due_ns = None, vcpu.ran_ns

    cell = await campaign(tmp_path, MASKED, ignore_the_mask)
    assert not {Outcome.FULL_PERIOD, Outcome.IMMEDIATE} & set(cell.counts.outcomes)


async def test_a_tick_that_became_pending_meanwhile_makes_a_save_no_evidence(
    tmp_path: Path,
) -> None:
    """The timer expires while the save is taken, for the first save of each instance."""

    def savevm(qemu: FakeQemu) -> None:
        qemu.vcpus[0].held_back = not qemu.config.control_tick and not qemu.snapshots

    def cont(qemu: FakeQemu) -> None:
        qemu.vcpus[0].held_back = False

    plan = build_plan(
        {"seed": 1, "axes": {"accel": "kvm", "period_ms": 100},
         "limits": {"trials": 3, "rule_out": 0.7}},
        "test",
    )  # fmt: skip
    host = FakeHost(Script(immediate, {"savevm": savevm, "cont": cont}))
    (cell,) = (await run_plan(host, plan, Accel.KVM, tmp_path)).cells
    assert cell.verdict is Verdict.CLEAN, cell.why
    saves = [each for each in journal_dicts(tmp_path / JOURNAL) if each["record"] == "save"]
    rejected = [
        save for save in saves if save["role"] == "host" and save["vcpus"][0].get("ineligible")
    ]
    assert [save["vcpus"][0]["ineligible"] for save in rejected] == [["pending"]]


async def test_a_host_on_which_an_expired_timer_is_pending_at_once(tmp_path: Path) -> None:
    """So it is with pi_inject_timer=1."""

    def stop(qemu: FakeQemu) -> None:
        qemu.vcpus[0].held_back = not qemu.config.control_tick

    def cont(qemu: FakeQemu) -> None:
        qemu.vcpus[0].held_back = False

    plan = build_plan(
        {"seed": 1, "axes": {"accel": "kvm", "period_ms": 100, "phase": "expired"},
         "limits": {"trials": 3, "rule_out": 0.7}},
        "test",
    )  # fmt: skip
    host = FakeHost(Script(immediate, {"stop": stop, "cont": cont}))
    (cell,) = (await run_plan(host, plan, Accel.KVM, tmp_path)).cells
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert "pi_inject_timer=1" in cell.why
    assert "--state pending" in cell.why

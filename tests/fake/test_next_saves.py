"""A guest that can't be saved again after its loads, always at the same place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.resume import read_run
from orchestrator.plan.load import build_plan
from orchestrator.plan.plan import Plan
from orchestrator.testing import FakeQemu, Script, immediate
from orchestrator.testing.script import Command
from orchestrator.verdict.observer import FEWEST_FAILED_SAVES, MAX_UNKNOWN
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.cut_short_runs import cut_short, go_on

LOADS = 25

#: Saves of a loaded guest in a campaign, numbered from 1 over all its QEMUs.
Chosen = Callable[[int], bool]


def always(number: int) -> bool:
    return True


class Places:
    """Loaded guests that are saved again, in their order."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._found: dict[tuple[int, int], int] = {}
        self.loads: dict[FakeQemu, int] = {}

    def fails(self, qemu: FakeQemu) -> bool:
        loads = self.loads.get(qemu, 0)
        if qemu.config.control_tick or not loads or loads % LOADS:
            return False
        place = self._found.setdefault((id(qemu), loads), len(self._found) + 1)
        return self._chosen(place)


def failing(kind: str, chosen: Chosen) -> Script:
    """Return a script by which the next save of some loaded guests fails in one way."""
    places = Places(chosen)

    def load(qemu: FakeQemu, vcpu: Any, number: int) -> None:
        immediate(qemu, vcpu, number)
        places.loads[qemu] = number

    def refuse(qemu: FakeQemu) -> str | None:
        return "Error: No space left on device" if places.fails(qemu) else None

    async def hang(qemu: FakeQemu) -> None:
        if places.fails(qemu):
            await qemu.clock.sleep(3600 * 1_000_000_000)

    def pending(qemu: FakeQemu) -> str | None:
        if not places.fails(qemu):
            return None
        return qemu.vcpus[0].info_lapic().replace("IRR\t (none)", "IRR\t 64")

    commands: dict[str, dict[str, Command]] = {
        "delvm fails": {"delvm": refuse},
        "savevm fails": {"savevm": refuse},
        "savevm hangs": {"savevm": hang},
        "no stop is eligible": {"info lapic": pending},
    }
    return Script(load, commands[kind])


def planned(trials: int) -> Plan:
    return build_plan(
        {"axes": {"period_ms": 100, "accel": "kvm", "loads_per_save": LOADS},
         "limits": {"trials": trials, "rule_out": 0.05}, "seed": 2}, "test",
    )  # fmt: skip


async def run(out: Path, script: Script) -> CellResult:
    (cell,) = (await go_on(out, script, plan=planned(299))).cells
    return cell


@pytest.mark.parametrize(
    "kind", ["delvm fails", "savevm fails", "savevm hangs", "no stop is eligible"]
)
async def test_guests_that_can_never_be_saved_again_are_not_clean(
    kind: str, tmp_path: Path
) -> None:
    cell = await run(tmp_path, failing(kind, always))
    assert cell.counts.trials == 299
    assert cell.counts.unknown_attempts <= MAX_UNKNOWN * cell.counts.attempts
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert cell.why.startswith("11 of 11 saves of a guest that had been loaded came to nothing")
    assert "The last time, ticks went on after its last load; later, " in cell.why
    assert cell.counts.failed_save_why.rstrip(".") in cell.why


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [(FEWEST_FAILED_SAVES - 1, Verdict.CLEAN), (FEWEST_FAILED_SAVES, Verdict.INCONCLUSIVE)],
)
async def test_a_few_accidents_are_no_rule(failed: int, verdict: Verdict, tmp_path: Path) -> None:
    cell = await run(tmp_path, failing("savevm fails", lambda number: number <= failed))
    assert cell.counts.failed_saves == failed
    assert cell.verdict is verdict, cell.why


async def test_an_interrupted_run_does_not_forget_them(tmp_path: Path) -> None:
    plan = planned(299)
    await cut_short(tmp_path, failing("savevm fails", always), "trial", 160, plan=plan)
    before = read_run(tmp_path).cells[plan.cells(Accel.KVM)[0].id].failed_saves
    assert before >= FEWEST_FAILED_SAVES
    (cell,) = (await go_on(tmp_path, Script(immediate), plan=plan)).cells
    assert (cell.counts.failed_saves, cell.counts.trials) == (before, 299)
    assert cell.counts.saves_again > 0
    assert cell.verdict is Verdict.INCONCLUSIVE, cell.why

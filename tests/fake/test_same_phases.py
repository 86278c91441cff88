"""One seed gives a cell the same phases, in one session or in several."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.phases import Phases
from orchestrator.plan.load import build_plan
from orchestrator.testing import Script, immediate
from orchestrator.verdict.run import RunResult
from orchestrator.vm.config import Accel
from tests.support.cut_short_runs import cut_short, go_on
from tests.support.journal import journal_dicts

PLAN = build_plan(
    {
        "axes": {"period_ms": 100, "loads_per_save": 1, "phase": ["random", "0.2-0.8", 0.3]},
        "limits": {"trials": 6, "rule_out": 0.5},
        "seed": 11,
        "controls": 1,
    },
    "test",
)


def phases(result: RunResult) -> dict[str, list[float]]:
    """Return the intended phases of the saves of each cell, in their order."""
    found: dict[str, list[float]] = {}
    for record in journal_dicts(result.journal):
        if record["record"] == "save" and record["role"] == "host" and record["eligible"]:
            found.setdefault(record["cell"], []).append(record["intended_phase"])
    return found


@pytest.mark.parametrize("saves", [[1], [2, 5], [3, 9, 14]])
async def test_a_resumed_run_has_the_phases_of_one_that_was_never_cut(
    tmp_path: Path, saves: list[int]
) -> None:
    (whole := tmp_path / "whole").mkdir()
    (cut := tmp_path / "cut").mkdir()
    expected = phases(await go_on(whole, Script(immediate), plan=PLAN))
    for count in saves:
        await cut_short(cut, Script(immediate), "trial", count, plan=PLAN)
    resumed = phases(await go_on(cut, Script(immediate), plan=PLAN))
    assert resumed.keys() == expected.keys()
    for name, found in resumed.items():
        # A save that was cut before its load is followed by one more.
        assert found[:6] == expected[name]
        assert len(set(found)) in (len(found), 1)


CELLS: Any = PLAN.cells(Accel.KVM)


def test_another_try_of_a_save_has_another_phase_and_moves_no_later_one() -> None:
    plain, with_tries = Phases(1, CELLS[1]), Phases(1, CELLS[1])
    expected = [plain.draw(number) for number in range(1, 7)]
    found = []
    for number in range(1, 7):
        tries = [with_tries.draw(number) for _ in range(number)]
        assert len(set(tries)) == number
        found.append(tries[0])
    assert found == expected
    assert Phases(1, CELLS[1]).draw(4) == expected[3]
    assert Phases(2, CELLS[1]).draw(4) != expected[3]
    assert {Phases(1, CELLS[2]).draw(number) for number in (1, 2, 3)} == {0.3}

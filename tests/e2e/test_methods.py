"""Every way to save and load, in every cycle, with QEMUs of several years: nothing is lost.

The usual run tries each method and each cycle with a few trials. `tox -e long` tries all of
them in all cycles with many, which takes the better part of an hour:
`LOSTTICK_TEST_TRIALS=300 pytest tests/e2e/test_methods.py`.
"""

from pathlib import Path

import pytest

from orchestrator.host.facts import HostFacts
from orchestrator.host.local import LocalHost
from orchestrator.snapshot.method import CycleKind, Method
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.campaigns import assert_clean, campaign
from tests.support.journal import journal_dicts
from tests.support.method_loads import (
    CONTROLS,
    KINDS,
    MANY,
    NEW,
    OLD,
    PERIOD_MS,
    TRIALS,
    only_under,
    require,
)
from tests.support.needs import not_applicable
from tests.support.qemus import host_with_qemu

#: For MANY loads by new processes, of which a busy machine may start three in a second.
pytestmark = pytest.mark.timeout(600)

#: What the usual run loads by a QEMU of another year. That of 2026 has methods of its own.
OTHER_YEARS = {OLD: {Method.HMP, Method.EXEC}, NEW: {*KINDS, Method.FILE, Method.MAPPED_RAM}}


def assert_well(cell: CellResult, trials: int, out: Path) -> None:
    """Nothing lost, and saves of the guests that the cycle is to save."""
    assert_clean(cell, trials, CONTROLS)
    saves = [
        record
        for record in journal_dicts(out / "journal.jsonl")
        if record["record"] == "save" and record["role"] == "host" and record["eligible"]
    ]
    generations = [save["generation"] for save in saves]
    match cell.cell.cycle:
        case CycleKind.REPEAT:
            assert len(saves) < trials
        case CycleKind.FRESH:
            assert len(saves) >= trials
            assert set(generations) == {0}
        case CycleKind.CHAIN:
            assert len(saves) >= trials
            # An attempt that ends unknown begins another chain: it may, on a busy machine.
            assert max(generations) >= min(trials, 4) - 1


@pytest.mark.parametrize("cycle", list(CycleKind))
@pytest.mark.parametrize("method", list(Method))
async def test_every_method_in_every_cycle(
    host: LocalHost, facts: HostFacts, tmp_path: Path, accel: Accel, best_accel: Accel,
    method: Method, cycle: CycleKind,
) -> None:  # fmt: skip
    require(method, facts.qemu)
    if (method, cycle) not in ((Method.LOADVM, CycleKind.REPEAT), (Method.EXEC, CycleKind.REPEAT)):
        only_under(best_accel, accel)
    if TRIALS < MANY and cycle is not CycleKind.REPEAT and method not in KINDS:
        not_applicable(f"tried in one cycle; in all with LOSTTICK_TEST_TRIALS={MANY}")
    cell = await campaign(
        host, tmp_path, accel, TRIALS, controls=CONTROLS, method=method, cycle=cycle,
        period_ms=PERIOD_MS,
    )  # fmt: skip
    assert_well(cell, TRIALS, tmp_path)


@pytest.mark.parametrize("suite", [OLD, NEW])
@pytest.mark.parametrize("method", list(Method))
async def test_qemu_old_and_new(
    tmp_path: Path, best_accel: Accel, method: Method, suite: str
) -> None:
    """One of 2020 and one of 2026, unpacked beside the system."""
    jobs = {Method.JOBS, Method.JOBS_HMP, Method.JOBS_LOADVM}
    lacking = jobs | {Method.FILE, Method.MAPPED_RAM} if suite == OLD else set()
    cycles = list(CycleKind) if TRIALS >= MANY else [CycleKind.REPEAT]
    if TRIALS < MANY and method not in lacking | OTHER_YEARS[suite]:
        not_applicable(f"tried with this host's QEMU; here with LOSTTICK_TEST_TRIALS={MANY}")
    async with host_with_qemu(suite) as host:
        qemu = host.facts.need_qemu()
        for cycle in cycles:
            out = tmp_path / cycle
            cell = await campaign(
                host, out, best_accel, TRIALS, controls=CONTROLS, method=method, cycle=cycle,
                period_ms=PERIOD_MS,
            )  # fmt: skip
            if method in lacking:
                assert cell.verdict is Verdict.SKIPPED
                assert f"QEMU {qemu.version} has no " in cell.why
            else:
                assert_well(cell, TRIALS, out)

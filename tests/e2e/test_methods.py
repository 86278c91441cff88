"""Every way to save and load, in every cycle, with QEMUs of several years: nothing is lost.

The usual run tries each with a few trials (all cycles under the best accelerator), and three
methods with many. All of them with many takes the better part of an hour:
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
from tests.support.method_loads import MANY, NEW, OLD, PERIOD_MS, TRIALS, require
from tests.support.needs import not_applicable
from tests.support.qemus import host_with_qemu

#: For MANY loads by new processes, of which a busy machine may start three in a second.
pytestmark = pytest.mark.timeout(600)


def assert_well(cell: CellResult, trials: int, out: Path) -> None:
    """Nothing lost, and saves of the guests that the cycle is to save."""
    assert_clean(cell, trials)
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
    if TRIALS < MANY and accel is not best_accel and cycle is not CycleKind.REPEAT:
        not_applicable(f"tried under {best_accel}; here with LOSTTICK_TEST_TRIALS={MANY}")
    cell = await campaign(
        host, tmp_path, accel, TRIALS, method=method, cycle=cycle, period_ms=PERIOD_MS
    )
    assert_well(cell, TRIALS, tmp_path)


@pytest.mark.parametrize("method", [Method.HMP, Method.JOBS, Method.INCOMING])
async def test_many_loads(
    host: LocalHost, facts: HostFacts, tmp_path: Path, best_accel: Accel, method: Method
) -> None:
    require(method, facts.qemu)
    if TRIALS >= MANY:
        not_applicable("every combination is run so often")
    cell = await campaign(host, tmp_path, best_accel, MANY, method=method)
    assert_well(cell, MANY, tmp_path)


@pytest.mark.parametrize("suite", [OLD, NEW])
@pytest.mark.parametrize("method", list(Method))
async def test_qemu_old_and_new(
    tmp_path: Path, best_accel: Accel, method: Method, suite: str
) -> None:
    """One of 2020 and one of 2026, unpacked beside the system."""
    jobs = {Method.JOBS, Method.JOBS_HMP, Method.JOBS_LOADVM}
    lacking = jobs | {Method.FILE, Method.MAPPED_RAM} if suite == OLD else set()
    cycles = list(CycleKind) if TRIALS >= MANY else [CycleKind.REPEAT]
    async with host_with_qemu(suite) as host:
        qemu = host.facts.need_qemu()
        for cycle in cycles:
            out = tmp_path / cycle
            cell = await campaign(
                host, out, best_accel, TRIALS, method=method, cycle=cycle, period_ms=PERIOD_MS
            )
            if method in lacking:
                assert cell.verdict is Verdict.SKIPPED
                assert f"QEMU {qemu.version} has no " in cell.why
            else:
                assert_well(cell, TRIALS, out)

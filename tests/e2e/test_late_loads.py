"""Loads of a real KVM that make some first ticks late: the McNemar test has its stated power."""

import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import Outcome
from orchestrator.host.local import LocalHost, open_host
from orchestrator.plan.load import build_plan
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts
from tests.support.shim import shim_environment

#: Campaigns of each share of late loads.
CAMPAIGNS = int(os.environ.get("LOSTTICK_TEST_LATE", "4"))

LOADS = 299

CLASSES = (Outcome.IMMEDIATE, Outcome.FULL_PERIOD, Outcome.REMAINING)

#: The first tick comes half a period to 0.6 periods after the latest class is due.
FAULT = "first:1.55"


@pytest.fixture(autouse=True)
def unpaused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_ease(host: LocalHost) -> float:
        return 0.0

    monkeypatch.setattr(LocalHost, "pressure_percent", at_ease)


async def run(
    shim: Path, place: Path, kvm: Accel, fault: str, permille: int, seed: int, loads: int
) -> CellResult:
    place.mkdir()
    environment = shim_environment(shim, place / "shim.log", fault, seed=seed, permille=permille)
    plan = build_plan(
        {
            "axes": {"accel": kvm, "period_ms": 10},
            "limits": {"trials": loads, "rule_out": 3 / loads},
            "controls": 0,
            "seed": seed,
        },
        "late",
    )
    async with open_host(environment=environment) as host:
        host.facts = replace(host.facts, kvm_modules={"kvm_intel": {"enable_apicv": "Y"}})
        (cell,) = (await run_plan(host, plan, kvm, place)).cells
    return cell


async def campaign(
    shim: Path, place: Path, kvm: Accel, permille: int, seed: int, loads: int
) -> CellResult:
    """Run a campaign. No tick that was made late may have the class of a tick in time."""
    cell = await run(shim, place, kvm, FAULT, permille, seed, loads)
    loaded = (place / "shim.log").read_bytes()[1::2]
    made, pairs = loaded.count(b"1"), cell.counts.pairing.counts
    classed = sum(cell.counts.outcomes[outcome] for outcome in CLASSES)
    assert classed + made <= len(loaded), "a tick that was made late was called in time"
    print(f"{permille / 10:g} % of loads late, seed {seed}: {cell.verdict}, {made} made late,")
    print(f"  {dict(cell.counts.outcomes)}, {pairs}")
    return cell


def assert_accused(cell: CellResult) -> None:
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    assert "the loads make ticks late" in cell.why


@pytest.mark.thorough
@pytest.mark.timeout(600)
async def test_a_fifth_of_the_loads_late_is_anomalous(
    shim: Path, tmp_path: Path, kvm: Accel
) -> None:
    """Power 100 % on an idle host."""
    for seed in range(CAMPAIGNS):
        cell = await campaign(shim, tmp_path / str(seed), kvm, 200, seed, 100)
        assert_accused(cell)


@pytest.mark.thorough
@pytest.mark.timeout(600)
async def test_guests_that_are_never_punctual_again_are_anomalous(
    shim: Path, tmp_path: Path, kvm: Accel
) -> None:
    """A sham in a guest that was loaded would be late as often as a load."""
    for seed in range(CAMPAIGNS):
        place = tmp_path / str(seed)
        cell = await run(shim, place, kvm, "seventh:1.55", 1000, seed, 100)
        assert_accused(cell)
        print(f"seed {seed}: {dict(cell.counts.outcomes)}, {cell.counts.pairing.counts}")
        qemus = [r for r in journal_dicts(place / "journal.jsonl") if r["record"] == "instance"]
        pairs = [(a, b) for a, b in itertools.pairwise(qemus) if b.get("role") == "sham"]
        assert pairs
        assert all(sham["pinned_cpus"] == loaded["pinned_cpus"] for loaded, sham in pairs)


@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("permille", [10, 50])
async def test_the_rate_of_campaigns_that_see_a_few_late_loads(
    shim: Path, tmp_path: Path, kvm: Accel, permille: int
) -> None:
    """Stated power on an idle host: 1.1 % at 1 % of the loads, 98.2 % at 5 %."""
    seen = 0
    for seed in range(CAMPAIGNS):
        cell = await campaign(shim, tmp_path / str(seed), kvm, permille, seed, LOADS)
        seen += cell.verdict is Verdict.ANOMALOUS
        # Without controls no campaign is clean.
        assert cell.verdict in (Verdict.ANOMALOUS, Verdict.INCONCLUSIVE), cell.why
    print(f"{permille / 10:g} % of loads late: {seen} of {CAMPAIGNS} campaigns are anomalous")

"""Campaigns against real QEMU: nothing lost where nothing is lost, and every control seen."""

from pathlib import Path

import pytest

from orchestrator.guest.apic import Apic
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.host.facts import HostFacts
from orchestrator.host.local import LocalHost
from orchestrator.vm.config import Accel
from orchestrator.vm.tryout import why_not
from tests.support.campaigns import assert_clean, campaign
from tests.support.journal import journal_dicts
from tests.support.method_loads import CONTROLS, MANY, PERIOD_MS, TRIALS, only_under
from tests.support.needs import not_applicable


async def test_many_loads_lose_nothing(
    host: LocalHost, tmp_path: Path, accel: Accel, best_accel: Accel
) -> None:
    """500; in the usual run those of five saves under the best accelerator, and of two else."""
    loads = 500 if TRIALS >= MANY else 125 if accel is best_accel else 50
    cell = await campaign(host, tmp_path, accel, loads)
    assert_clean(cell, loads)
    records = journal_dicts(tmp_path / "journal.jsonl")
    saves = {r["tag"]: r for r in records if r["record"] == "save" and r["eligible"]}
    loaded = [r["save"] for r in records if r["record"] == "trial" and r["role"] == "host"]
    assert len(loaded) >= loads  # a busy host gets more, in pairs with shams
    assert max(map(loaded.count, saves)) <= 25
    for tag in set(loaded):  # after five misses any phase but those near a tick will do
        low, high = (0.1, 0.9) if saves[tag].get("widened") else (0.35, 0.65)
        assert low <= saves[tag]["phase"] <= high
    assert records[-1]["record"] == "verdict"


@pytest.mark.parametrize(
    ("mode", "apic"),
    [
        (TimerMode.PERIODIC, Apic.XAPIC),
        (TimerMode.TSC_DEADLINE, Apic.XAPIC),
        (TimerMode.ONE_SHOT, Apic.X2APIC),
        (TimerMode.TSC_DEADLINE, Apic.X2APIC),
    ],
)
async def test_every_timer_mode(
    host: LocalHost, facts: HostFacts, tmp_path: Path, accel: Accel, mode: TimerMode, apic: Apic
) -> None:
    if why := await why_not(host, accel, mode, apic):
        not_applicable(
            f"{accel} of QEMU {facts.qemu and facts.qemu.version} has no such mode: {why}"
        )
    # The window of a periodic timer's control lasts three periods. On a busy host the harness
    # needs tens of milliseconds to stop the guest inside it.
    cell = await campaign(
        host, tmp_path, accel, TRIALS, controls=CONTROLS, mode=mode, apic=apic, period_ms=40
    )
    assert_clean(cell, TRIALS, CONTROLS)


async def test_a_save_per_trial(
    host: LocalHost, tmp_path: Path, accel: Accel, best_accel: Accel
) -> None:
    only_under(best_accel, accel)
    cell = await campaign(host, tmp_path, accel, 20, loads_per_save=1, period_ms=PERIOD_MS)
    assert_clean(cell, 20)
    assert cell.counts.saves == 20

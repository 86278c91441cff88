"""Campaigns against real QEMU: nothing lost where nothing is lost, and every control seen."""

from pathlib import Path

import pytest

from orchestrator.campaign.run import CellResult
from orchestrator.campaign.verdict import Verdict
from orchestrator.guest.firmware import Apic, TimerMode
from orchestrator.host.facts import HostFacts
from orchestrator.host.local import LocalHost
from orchestrator.lab.packages import PackagesError, unpack
from orchestrator.results.journal import read_journal
from orchestrator.snapshot import Method
from orchestrator.trial.diagnosis import Cause
from orchestrator.trial.outcome import Outcome
from orchestrator.vm.argv import Accel
from orchestrator.vm.probe import probe_qemu
from orchestrator.vm.tryout import why_not
from tests.e2e.conftest import campaign


def assert_clean(cell: CellResult, trials: int) -> None:
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert cell.campaign.outcomes.total() == trials
    assert cell.campaign.outcomes[Outcome.LOST] == 0
    assert len(cell.campaign.controls) == 2
    for control in cell.campaign.controls:
        assert control.seen, control.sentence
        if cell.cell.mode is not TimerMode.PERIODIC:
            assert control.cause is Cause.LOST_INTERRUPT, control.sentence


async def test_500_loads_lose_nothing(
    host: LocalHost, facts: HostFacts, tmp_path: Path, accel: Accel
) -> None:
    cell = await campaign(host, facts, tmp_path, accel, 500)
    assert_clean(cell, 500)
    records = list(read_journal(tmp_path / "journal.jsonl"))
    saves = {r["tag"]: r for r in records if r["record"] == "save" and r["eligible"]}
    loads = [r["save"] for r in records if r["record"] == "trial" and r["arm"] == "host"]
    assert len(loads) == 500
    assert max(map(loads.count, saves)) <= 25
    assert all(0.35 <= saves[tag]["phase"] <= 0.65 for tag in set(loads))
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
        pytest.skip(f"{accel} of QEMU {facts.qemu and facts.qemu.version} has no such mode: {why}")
    assert_clean(await campaign(host, facts, tmp_path, accel, 30, mode=mode, apic=apic), 30)


async def test_a_save_per_trial(
    host: LocalHost, facts: HostFacts, tmp_path: Path, accel: Accel
) -> None:
    cell = await campaign(host, facts, tmp_path, accel, 20, loads_per_save=1)
    assert_clean(cell, 20)
    assert cell.campaign.saves == 20


@pytest.mark.parametrize("suite", [None, "bullseye", "forky"])
@pytest.mark.parametrize("method", list(Method))
async def test_qemu_old_and_new(
    tmp_path: Path, best_accel: Accel, method: Method, suite: str | None
) -> None:
    """This distribution's QEMU, one of 2020 and one of 2026, unpacked beside the system."""
    if suite is None:
        host = LocalHost()
    else:
        try:
            tree = unpack(suite, ["qemu-system-x86"])
        except PackagesError as error:
            pytest.skip(f"needs the QEMU of Debian {suite}: {error}")
        binary, prefix = tree.command("usr/bin/qemu-system-x86_64")
        host = LocalHost(binary, qemu_prefix=prefix)
    qemu = await probe_qemu(host)
    facts = await host.facts(qemu)
    cell = await campaign(host, facts, tmp_path, best_accel, 25, method=method)
    if method is Method.JOBS and not qemu.has_snapshot_jobs:
        assert qemu.version.startswith("5.")
        assert cell.verdict is Verdict.SKIPPED
        assert "no snapshot-save" in cell.why
    else:
        assert_clean(cell, 25)

"""Guests with several vCPUs, each with its own timer, ticks and, where it can, its own port."""

import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import Tick
from orchestrator.guest.tick.config import Fault
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.host.errors import QemuStartError
from orchestrator.host.facts import HostFacts
from orchestrator.host.local import MAX_CONSOLES, LocalHost
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.launch import launch
from tests.support.campaigns import assert_clean, campaign
from tests.support.faulty_guest import fallen_silent
from tests.support.journal import journal_dicts
from tests.support.method_loads import CONTROLS, MANY, TRIALS, only_under

#: A guest has more vCPUs than the host may have CPUs: its campaign would wait for itself.
pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("unpaused")]

#: Consoles that a host can have; with one, all vCPUs of a guest share it, as in a lab.
CONSOLES = [MAX_CONSOLES, 1]


def records(out: Path, kind: str, arm: str) -> list[dict[str, Any]]:
    journal = journal_dicts(out / "journal.jsonl")
    return [r for r in journal if r["record"] == kind and r.get("role") == arm]


@pytest.mark.parametrize(
    ("consoles", "vcpus", "period_ms"),
    [
        (MAX_CONSOLES, 2, 20),
        (1, 2, 20),
        pytest.param(1, 4, 60, marks=pytest.mark.thorough),
    ],
)
async def test_every_vcpu_ticks_and_each_control_is_on_another(
    host: LocalHost, tmp_path: Path, accel: Accel, best_accel: Accel, consoles: int, vcpus: int,
    period_ms: int,
) -> None:  # fmt: skip
    if consoles == 1:
        only_under(best_accel, accel)
    host.max_consoles = consoles
    loads = 20 if TRIALS >= MANY else 10
    cell = await campaign(
        host, tmp_path, accel, loads, vcpus=vcpus, period_ms=period_ms, loads_per_save=5
    )
    assert_clean(cell, loads)
    for trial in records(tmp_path, "trial", "host"):
        if trial["outcome"] != Outcome.UNKNOWN:  # else it was tried again
            assert [each["vcpu"] for each in trial["vcpus"]] == list(range(vcpus))
            assert all(Outcome(each["outcome"]).ticked for each in trial["vcpus"])
    for save in records(tmp_path, "save", "host"):
        assert [part["vcpu"] for part in save["vcpus"]] == list(range(vcpus))
    named = [re.search(r"\(vCPU (\d)", control.sentence) for control in cell.counts.controls]
    assert [found and int(found[1]) for found in named] == [vcpus - 1, vcpus - 2]
    for instance in records(tmp_path, "instance", "host"):
        assert len(set(instance["vcpu_threads"])) == vcpus


@pytest.mark.parametrize("mode", [TimerMode.PERIODIC, TimerMode.TSC_DEADLINE])
async def test_other_timers(
    host: LocalHost, facts: HostFacts, tmp_path: Path, kvm: Accel, mode: TimerMode
) -> None:
    cell = await campaign(
        host, tmp_path, kvm, TRIALS, controls=CONTROLS, vcpus=2, period_ms=40, mode=mode
    )
    assert_clean(cell, TRIALS, CONTROLS)


@pytest.mark.parametrize("consoles", CONSOLES)
@pytest.mark.parametrize(
    ("fault", "cause"),
    [(Fault.NO_REARM, Cause.NOT_REARMED), (Fault.IF_CLEAR, Cause.NOT_DELIVERABLE)],
)
async def test_a_silence_is_the_vcpu_s_own(
    host: LocalHost, accel: Accel, best_accel: Accel, consoles: int, fault: Fault, cause: Cause
) -> None:
    """The others go on, and do not talk the harness out of it."""
    if consoles == 1:
        only_under(best_accel, accel)
    host.max_consoles = consoles
    guest = GuestConfig(period_ns=40_000_000, vcpus=2, subject=1)
    result, found = await fallen_silent(host, accel, guest, fault)
    print({each.vcpu: (each.outcome, each.why) for each in result.vcpus})
    late = {Outcome.LATE, Outcome.MISSED}  # on a busy host, and a single load has no sham beside it
    went_on = {each.vcpu: each.outcome.ticked or each.outcome in late for each in result.vcpus}
    assert went_on == {0: True, 1: False}
    assert (result.outcome, result.telling) == (Outcome.LOST, 1)
    assert (found.cause, found.vcpu) == (cause, 1), found.sentence
    assert "(vCPU 1, " in found.sentence


async def test_an_nmi_has_every_vcpu_testify(host: LocalHost, accel: Accel) -> None:
    """On one port, too: none of them waits for ever for another to have printed."""
    host.max_consoles = 1
    guest = GuestConfig(period_ns=50_000_000, vcpus=4)
    async with launch(host, InstanceConfig(accel, guest)) as instance:
        for vcpu in instance.vcpus:
            assert await instance.console.next_line(5_000_000_000, vcpu)
        seen = dict.fromkeys(instance.vcpus, 0)
        # NMIs that come before a vCPU has taken the last one are one NMI, and a vCPU does
        # without its line while others print for long: each has several chances.
        for _ in range(40):
            await instance.monitor.execute("inject-nmi")
            for vcpu in instance.vcpus:
                arrived = None
                while arrived is None or not isinstance(arrived[0], Tick):
                    arrived = await instance.console.next_line(5_000_000_000, vcpu)
                    assert arrived is not None, (vcpu, seen)
                    seen[vcpu] += not isinstance(arrived[0], Tick)
            if all(seen.values()):
                break
        print(f"{accel}: testimonies by vCPU: {seen}")
        assert all(seen.values())


async def test_a_qemu_with_too_few_vcpus_is_none(
    host: LocalHost, accel: Accel, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_qemu = host.start_qemu

    async def start_fewer(args: Any, files: Any, *, consoles: int = 1) -> Any:
        smp = args.index("-smp") + 1
        args = [*args[:smp], "2,sockets=2", *args[smp + 1 :]]
        return await start_qemu(args, files, consoles=consoles)

    monkeypatch.setattr(host, "start_qemu", start_fewer)
    guest = GuestConfig(period_ns=20_000_000, vcpus=3)
    with pytest.raises(QemuStartError, match="it names 2 of 3 vCPUs") as failed:
        async with launch(host, InstanceConfig(accel, guest)):
            pytest.fail("it started")
    assert "2,sockets=2" in failed.value.argv

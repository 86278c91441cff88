"""A kvmclock that loads leave at a wrong rate, or untold. No tick is late or early by it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.guest.config import GuestConfig
from orchestrator.testing import FakeQemu, FakeVcpu, Script, immediate
from orchestrator.testing.script import Behaviour
from orchestrator.testing.vcpu import TSC_PER_NS
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import PERIOD_MS, campaign, only_ordinary
from tests.support.journal import journal_dicts


class OtherRate(FakeVcpu):
    """A vCPU whose kvmclock has gone at another rate since a load."""

    rate: float
    since_ns: int

    @property
    def kvmclock_ns(self) -> int:
        passed_ns = self.ran_ns - self.since_ns
        return int(self.since_ns + self.kvmclock_ahead_ns + self.rate * passed_ns)


def at_rate(rate: float) -> Behaviour:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.__class__ = OtherRate
        vcpu.rate, vcpu.since_ns = rate, vcpu.ran_ns  # type: ignore[attr-defined]

    return on_load


class Untold(FakeVcpu):
    """A vCPU whose kvmclock KVM does not update any more."""

    def _tick(self, config: GuestConfig) -> Iterator[bytes]:
        self.says_kvmclock = False
        yield from super()._tick(config)


def untold(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
    immediate(qemu, vcpu, number)
    vcpu.__class__ = Untold


@pytest.mark.parametrize("cycle", ["fresh", "chain"])
@pytest.mark.parametrize("vcpus", [1, 2])
@pytest.mark.parametrize("rate", [0, 0.5, 0.95, 1.05, 2])
async def test_a_wrong_rate_is_named(tmp_path: Path, rate: float, vcpus: int, cycle: str) -> None:
    script = only_ordinary(at_rate(rate))
    result, _ = await campaign(tmp_path, script, 3, vcpus=vcpus, cycle=cycle)
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    whys = [r["why"] for r in journal_dicts(result.journal) if r.get("outcome") == Outcome.CLOCK]
    assert whys and all("kvmclock" in why for why in whys), whys


async def test_a_kvmclock_that_is_told_no_more_is_named(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(untold), 3)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.CLOCK: 3}
    whys = [r["why"] for r in journal_dicts(result.journal) if r.get("outcome") == Outcome.CLOCK]
    assert all(why.startswith("KVM did not tell the guest its kvmclock") for why in whys), whys


async def test_a_first_line_that_is_missed_accuses_nobody(tmp_path: Path) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.mute = True
        qemu.do_later(PERIOD_MS * 500_000, lambda: setattr(vcpu, "mute", False))

    result, _ = await campaign(tmp_path, only_ordinary(on_load), 5, resume="auto")
    (cell,) = result.cells
    assert cell.counts.outcomes[Outcome.CLOCK] == 0, cell.why


async def test_a_kvmclock_that_kvm_computes_anew_is_right(tmp_path: Path) -> None:
    """Perhaps it is a little off the one before, and the vCPU waits for a CPU besides."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.waits_ns = PERIOD_MS * 300_000

        def anew() -> None:
            vcpu.kvmclock_ahead_ns += 500_000
            vcpu.says_kvmclock = True

        qemu.do_later(PERIOD_MS * 1_500_000, anew)

    result, _ = await campaign(tmp_path, only_ordinary(on_load), 6, loads_per_save=2)
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why


async def test_a_vcpu_in_the_handler_of_a_tick_at_the_last_look(tmp_path: Path) -> None:
    """It has noted the TSC of that tick, and kvmclock of the one before."""

    def stop(qemu: FakeQemu) -> None:
        for vcpu in qemu.vcpus:
            if qemu.loads == 6 and not qemu.config.control_tick:
                vcpu.tick_tsc += TSC_PER_NS * qemu.period_ns
                vcpu.flags &= ~0x200

    script = Script(immediate, {"stop": stop})
    result, _ = await campaign(tmp_path, script, 6)
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why

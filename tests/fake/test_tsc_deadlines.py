"""First ticks in TSC-deadline mode: the guest's TSC tells when each was due."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FACTS, FakeQemu, FakeVcpu, Script, immediate, only_in_trials
from orchestrator.testing.script import Behaviour
from orchestrator.testing.vcpu import TSC_PER_NS
from orchestrator.verdict.verdict import Verdict
from tests.support import tick_times
from tests.support.fake_campaigns import campaign

#: The TSC of each QEMU's vCPU as it was stopped, and when, by the host's clock.
STOPPED: dict[FakeQemu, tuple[int, int]] = {}


def note_tsc(qemu: FakeQemu) -> None:
    qemu.advance()
    STOPPED[qemu] = qemu.vcpus[0].tsc, qemu.clock.now_ns()


def go_on(qemu: FakeQemu, vcpu: FakeVcpu) -> None:
    """Let the TSC go on over a stop, as KVM does, or over a load that KVM takes for no new TSC."""
    tsc, at_ns = STOPPED.pop(qemu)
    ahead_ns = (tsc - vcpu.tsc) // TSC_PER_NS + qemu.clock.now_ns() - at_ns
    vcpu.skip(max(0, ahead_ns), qemu.config)


def go_on_unloaded(qemu: FakeQemu) -> None:
    if qemu in STOPPED and not qemu.config.control_tick:
        go_on(qemu, qemu.vcpus[0])
        immediate(qemu, qemu.vcpus[0], 0)


def first_after(periods: float) -> Behaviour:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        STOPPED.pop(qemu, None)
        tick_times.first_after(periods)(qemu, vcpu, number)

    return on_load


def past_its_deadline(periods: float) -> Behaviour:
    """The TSC goes on past the deadline, and the tick comes so many periods after the resume."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        go_on(qemu, vcpu)
        first_after(periods)(qemu, vcpu, number)

    return on_load


def when_due(waits: float = 0.0, *, goes_on: bool = False, skips: float = 0.0) -> Behaviour:
    """The tick comes at its deadline, or when the vCPU gets a CPU after it.

    Args:
        waits: how long the vCPU waits once it has resumed, in periods.
        goes_on: whether the TSC goes on while the guest is loaded.
        skips: by how much the restored TSC goes on until the guest resumes, in periods.
    """

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        if goes_on:
            go_on(qemu, vcpu)
        STOPPED.pop(qemu, None)
        vcpu.skip(int(skips * qemu.period_ns), qemu.config)
        immediate(qemu, vcpu, number)
        vcpu.waits_ns = int(waits * qemu.period_ns)

    return on_load


async def outcomes(
    tmp_path: Path, behaviour: Behaviour, module: str = "kvm_intel", **axes: object
) -> tuple[set[Outcome], Verdict]:
    script = Script(only_in_trials(behaviour), {"stop": note_tsc, "cont": go_on_unloaded})
    facts = replace(FACTS, kvm_modules={module: {}})
    result, _ = await campaign(tmp_path, script, 6, facts=facts, mode="tsc-deadline", **axes)
    (cell,) = result.cells
    return {kind for kind, number in cell.counts.outcomes.items() if number}, cell.verdict


@pytest.mark.parametrize("wait", ["busy", "halt"])
@pytest.mark.parametrize("module", ["kvm_intel", "kvm_amd"])
@pytest.mark.parametrize("periods", [0.0, 0.02, 0.15, 0.25])
async def test_a_tick_before_its_deadline_is_early(
    tmp_path: Path, periods: float, module: str, wait: str
) -> None:
    """The load restores the TSC. At the save the deadline was about half a period away."""
    seen, verdict = await outcomes(tmp_path, first_after(periods), module, wait=wait)
    assert (seen, verdict) == ({Outcome.EARLY}, Verdict.ANOMALOUS)


async def test_no_wait_makes_a_tick_come_before_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick_times.let_qemu_wait(monkeypatch, 1)
    seen, _ = await outcomes(tmp_path, first_after(0.25), wait="halt")
    assert seen == {Outcome.EARLY}


@pytest.mark.parametrize("wait", ["busy", "halt"])
@pytest.mark.parametrize("periods", [0.3, 0.5])
async def test_a_tick_long_after_its_deadline_is_late(
    tmp_path: Path, periods: float, wait: str
) -> None:
    seen, _ = await outcomes(tmp_path, past_its_deadline(periods), wait=wait)
    assert seen == {Outcome.LATE}


@pytest.mark.parametrize("wait", ["busy", "halt"])
@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (when_due(), Outcome.REMAINING),
        (when_due(skips=0.2), Outcome.REMAINING),
        (when_due(skips=0.8), Outcome.IMMEDIATE),
        (when_due(goes_on=True), Outcome.IMMEDIATE),
    ],
)
async def test_a_tick_at_its_deadline(
    tmp_path: Path, behaviour: Behaviour, kind: Outcome, wait: str
) -> None:
    seen, verdict = await outcomes(tmp_path, behaviour, wait=wait, period_ms=50)
    assert seen <= {kind, Outcome.INDISTINCT}
    assert verdict is Verdict.CLEAN


@pytest.mark.parametrize("waits", [0.1, 0.4, 0.8, 1.4, 6.5])
@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_tick_that_waits_for_its_vcpu_after_its_deadline(
    tmp_path: Path, waits: float, *, goes_on: bool
) -> None:
    seen, verdict = await outcomes(tmp_path, when_due(waits, goes_on=goes_on))
    assert all(kind.ticked for kind in seen), seen
    assert verdict is Verdict.CLEAN


@pytest.mark.parametrize("behaviour", [first_after(0.25), past_its_deadline(0.4)])
async def test_a_guest_that_may_read_another_tsc_than_its_host_compares(
    tmp_path: Path, behaviour: Behaviour
) -> None:
    seen, verdict = await outcomes(tmp_path, behaviour, "kvm_pvm")
    assert all(kind.ticked for kind in seen), seen
    assert verdict is Verdict.CLEAN

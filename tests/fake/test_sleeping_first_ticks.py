"""First ticks of vCPUs that sleep between ticks, at a time that fits no class.

A wait for a CPU, which such a vCPU does not note, makes a tick later than the class before. No wait
makes a tick come before every class.
"""

from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FakeQemu, FakeVcpu, Script, immediate, only_in_trials
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign
from tests.support.tick_times import first_after, let_qemu_wait


def waiting(periods: float) -> Behaviour:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.waits_ns = int(periods * qemu.period_ns)

    return on_load


@pytest.fixture
def waits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether QEMU's threads wait for a CPU all the time, by the host's account."""
    waits: bool = request.param
    let_qemu_wait(monkeypatch, float(waits))
    return waits


async def outcomes(
    tmp_path: Path, script: Script, **axes: object
) -> tuple[dict[Outcome, int], Verdict]:
    result, _ = await campaign(tmp_path, script, 30, wait="halt", **axes)
    (cell,) = result.cells
    return {kind: n for kind, n in cell.counts.outcomes.items() if n}, cell.verdict


@pytest.mark.parametrize("waits", [False, True], indirect=True)
@pytest.mark.parametrize("periods", [0.05, 0.25])
async def test_no_wait_makes_a_periodic_tick_come_sooner(
    tmp_path: Path, periods: float, *, waits: bool
) -> None:
    script = Script(only_in_trials(first_after(periods)))
    seen, verdict = await outcomes(tmp_path, script, mode="periodic")
    assert set(seen) == {Outcome.EARLY}
    assert verdict is Verdict.ANOMALOUS


@pytest.mark.parametrize("waits", [False, True], indirect=True)
@pytest.mark.parametrize(
    ("mode", "periods", "phase"), [("one-shot", 0.3, 0.4), ("periodic", 0.65, 0.6)]
)
async def test_a_tick_between_two_classes_is_late_unless_it_waited(
    tmp_path: Path, mode: str, periods: float, phase: float, *, waits: bool
) -> None:
    script = Script(only_in_trials(first_after(periods)))
    seen, verdict = await outcomes(tmp_path, script, mode=mode, phase=phase)
    if waits:
        assert all(kind.ticked for kind in seen)
        assert verdict is Verdict.CLEAN
    else:
        assert Outcome.LATE in seen
        assert verdict is Verdict.ANOMALOUS


@pytest.mark.parametrize("waits", [True], indirect=True)
@pytest.mark.parametrize("periods", [0.1, 0.25, 0.4, 0.8])
@pytest.mark.usefixtures("waits")
async def test_a_vcpu_that_waits_when_it_has_resumed(tmp_path: Path, periods: float) -> None:
    seen, verdict = await outcomes(tmp_path, Script(only_in_trials(waiting(periods))))
    assert all(kind.ticked for kind in seen)
    assert verdict is Verdict.CLEAN


async def test_a_host_that_delays_ticks_with_and_without_a_load(tmp_path: Path) -> None:
    """It does not count the waits: another host may have stopped this one."""

    def loaded(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.mark = True

    def delay(qemu: FakeQemu) -> None:
        for vcpu in qemu.vcpus if not qemu.config.control_tick else ():
            vcpu.waits_ns = int((0.25 if vcpu.mark else 0.9) * qemu.period_ns)
            vcpu.mark = False

    seen, verdict = await outcomes(tmp_path, Script(loaded, {"cont": delay}))
    assert Outcome.LATE in seen
    assert verdict is Verdict.CLEAN

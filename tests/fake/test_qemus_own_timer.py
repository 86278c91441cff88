"""Ticks of a timer that QEMU itself fires: its LAPIC keeps what is left of the period over a load.

QEMU's main loop may hold a tick back, whether or not a wait for a CPU is measured. Nothing
makes one come sooner.
"""

from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FakeQemu, Script, only_in_trials, remaining
from orchestrator.testing.script import Behaviour, Command
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign
from tests.support.tick_times import every, first_after, let_qemu_wait, second_after

PHASE = 0.5
TCG, IRQCHIP_OFF = {"accel": "tcg"}, {"irqchip": "off"}
PERIODIC = TCG | {"mode": "periodic"}


async def outcomes(
    tmp_path: Path,
    behaviour: Behaviour,
    axes: dict[str, str],
    on_command: dict[str, Command] | None = None,
) -> tuple[set[Outcome], Verdict]:
    script = Script(only_in_trials(behaviour), on_command or {})
    result, _ = await campaign(tmp_path, script, 30, phase=PHASE, **axes)
    (cell,) = result.cells
    return {kind for kind, n in cell.counts.outcomes.items() if n}, cell.verdict


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("axes", [TCG, IRQCHIP_OFF, PERIODIC])
@pytest.mark.parametrize("periods", [0.0, 0.1, 0.25])
async def test_no_wait_makes_a_tick_come_before_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, periods: float, axes: dict[str, str],
    share: float,
) -> None:  # fmt: skip
    let_qemu_wait(monkeypatch, share)
    seen, verdict = await outcomes(tmp_path, first_after(periods), axes)
    assert (seen, verdict) == ({Outcome.EARLY}, Verdict.ANOMALOUS)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("axes", [TCG, IRQCHIP_OFF])
@pytest.mark.parametrize(
    "behaviour",
    [first_after(0.75), first_after(1.0), second_after(1.25, remaining), every(1.25, remaining)],
)
async def test_a_late_tick_is_excused_by_a_wait_that_is_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour, axes: dict[str, str],
    share: float,
) -> None:  # fmt: skip
    let_qemu_wait(monkeypatch, share)
    seen, verdict = await outcomes(tmp_path, behaviour, axes)
    if share:
        assert all(kind.ticked for kind in seen)
        assert verdict is Verdict.CLEAN
    else:
        assert Outcome.LATE in seen
        assert verdict is Verdict.ANOMALOUS


@pytest.mark.parametrize("axes", [TCG, IRQCHIP_OFF, PERIODIC])
async def test_a_tick_in_its_time(tmp_path: Path, axes: dict[str, str]) -> None:
    seen, verdict = await outcomes(tmp_path, remaining, axes)
    assert (seen, verdict) == ({Outcome.REMAINING}, Verdict.CLEAN)


@pytest.mark.parametrize("held_back", [0.2, 0.28, 0.6])
async def test_a_main_loop_that_holds_ticks_back_with_and_without_a_load(
    tmp_path: Path, held_back: float
) -> None:
    """No wait is measured."""

    def hold_back(qemu: FakeQemu) -> None:
        for vcpu in qemu.vcpus if not qemu.config.control_tick else ():
            if vcpu.due_ns is not None:
                vcpu.due_ns += int(held_back * qemu.period_ns)

    seen, verdict = await outcomes(tmp_path, remaining, TCG, {"cont": hold_back})
    assert Outcome.LATE in seen
    assert verdict is Verdict.CLEAN

"""A host whose time daemon corrects the clock by some percent: its timers tick by that clock."""

from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FakeQemu, FakeVcpu, immediate, lost
from orchestrator.testing.clock import FakeClock
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import why_unknown


@pytest.fixture(autouse=True)
def right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeClock, "corrected", 0)


def too_fast(behaviour: Behaviour, *, corrected: bool = True) -> Behaviour:
    """Return a behaviour whose second load meets ticks that come 8 % too soon by the TSC."""
    loads: list[int] = []

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        loads.append(number)
        behaviour(qemu, vcpu, number)
        if len(loads) == 2:
            vcpu.pace = 0.92
            FakeClock.corrected += 40_000_000 if corrected else 0

    return on_load


@pytest.mark.parametrize("axes", [{}, {"mode": "periodic"}], ids=["one-shot", "periodic"])
async def test_ticks_while_the_clock_is_corrected_are_not_judged(
    axes: dict[str, object], tmp_path: Path
) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(too_fast(immediate)), trials=25, **axes)
    (cell,) = result.cells
    assert result.verdict is Verdict.CLEAN, cell.why
    assert (cell.counts.trials, cell.counts.unknown_attempts) == (25, 1)
    why = why_unknown(result.journal)
    assert "too fast during the trial, as a time daemon corrects it" in why


async def test_the_same_ticks_by_a_clock_that_nobody_corrects_are_anomalous(tmp_path: Path) -> None:
    script = only_ordinary(too_fast(immediate, corrected=False))
    result, _ = await campaign(tmp_path, script, trials=25)
    assert result.verdict is Verdict.ANOMALOUS


async def test_a_loss_while_the_clock_is_corrected_is_a_loss(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(too_fast(lost)), trials=5)
    assert result.cells[0].counts.outcomes == {Outcome.LOST: 5}


@pytest.mark.parametrize(("corrected_ns", "verdict"), [(-15_000_000, "clean"), (0, "anomalous")])
async def test_a_correction_after_the_first_save_is_no_longer_period(
    corrected_ns: int, verdict: str, tmp_path: Path
) -> None:
    """No tick is late by itself: all times between ticks show a longer period together."""

    def slowly(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.pace = 1.04
        FakeClock.corrected += corrected_ns

    result, _ = await campaign(tmp_path, only_ordinary(slowly), trials=50)
    assert result.verdict == verdict, result.cells[0].why

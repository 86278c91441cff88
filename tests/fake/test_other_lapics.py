"""LAPICs that a load leaves otherwise than they were in the save, while the guest ticks on."""

from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.guest.saved_state import SavedState
from orchestrator.testing import FakeQemu, FakeVcpu, immediate
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import journal_dicts


def periodic(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
    immediate(qemu, vcpu, number)
    vcpu.lvtt |= 0x20000


class OtherLapic(FakeVcpu):
    """A vCPU whose LAPIC shows more than the fake has."""

    shown: tuple[str, str]

    def info_lapic(self, state: SavedState = SavedState.ARMED) -> str:
        was, now = self.shown
        text = super().info_lapic(state)
        assert was in text
        return text.replace(was, now)


def showing(was: str, now: str) -> Behaviour:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.__class__ = OtherLapic
        vcpu.shown = (was, now)  # type: ignore[attr-defined]

    return on_load


@pytest.mark.parametrize("cycle", ["fresh", "chain", "repeat"])
@pytest.mark.parametrize(
    ("on_load", "outcome", "said"),
    [
        (periodic, Outcome.RATE, "its mode is periodic"),
        (showing("ISR\t (none)", "ISR\t 49"), Outcome.EXTRA, "vector 0x31 is in service"),
        (showing("IRR\t (none)", "IRR\t 49 50"), Outcome.EXTRA, "vectors 0x31, 0x32 are pending"),
        (showing("TPR 0x00", "TPR 0x30"), Outcome.EXTRA, "the task priority is 0x30, and was 0x0"),
    ],
)
async def test_a_lapic_that_no_tick_shows(
    tmp_path: Path, on_load: Behaviour, outcome: Outcome, said: str, cycle: str
) -> None:
    """With `repeat`, all loads are of one save: no other save follows."""
    result, _ = await campaign(tmp_path, only_ordinary(on_load), 3, cycle=cycle)
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    whys = [r["why"] for r in journal_dicts(result.journal) if r.get("outcome") == outcome]
    assert whys and all(said in why for why in whys), whys

"""A host that is suspended while a run goes on: the guest's clocks jump, and no load did that."""

from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FakeQemu, FakeVcpu, Script, immediate, lost
from orchestrator.testing.clock import FakeClock
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign
from tests.support.journal import journal_dicts

HOUR_NS = 3600 * 1_000_000_000


@pytest.fixture(autouse=True)
def awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeClock, "suspended", 0)


def suspended_once(
    behaviour: Behaviour = immediate, *, control: bool = False, known: bool = True
) -> Script:
    """Return a script in which the host is suspended for an hour during the second load.

    Args:
        behaviour: of each load.
        control: whether the load is one of a control instead.
        known: whether the host's clocks tell of the suspension.
    """
    loads: list[int] = []

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        in_control = bool(qemu.config.control_tick)
        (immediate if in_control else behaviour)(qemu, vcpu, number)
        if in_control is not control:
            return
        loads.append(number)
        if len(loads) == (1 if control else 2):
            vcpu.skipped_ns += HOUR_NS
            FakeClock.suspended += HOUR_NS if known else 0

    return Script(on_load)


def whys(journal: Path, outcome: Outcome) -> list[str]:
    return [
        r["why"] for r in journal_dicts(journal)
        if r["record"] == "trial" and r["outcome"] == outcome
    ]  # fmt: skip


async def test_a_clock_that_jumped_with_the_hosts_suspension_is_not_judged(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, suspended_once(), trials=25)
    (cell,) = result.cells
    assert result.verdict is Verdict.CLEAN, cell.why
    assert (cell.counts.trials, cell.counts.unknown_attempts) == (25, 1)
    (why,) = whys(result.journal, Outcome.UNKNOWN)
    assert why.startswith("the host was suspended for 3600.0 s since this QEMU was started: ")


@pytest.mark.parametrize("known", [True, False])
async def test_a_host_suspended_between_the_last_load_and_the_next_save(
    tmp_path: Path, known: bool
) -> None:
    """A deadline is far off for a TSC that began anew."""
    last: list[FakeQemu] = []

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if number == 25:
            last.append(qemu)

    def suspend(qemu: FakeQemu) -> None:
        """At the first look at the guest after all loads of its first save."""
        if last == [qemu]:
            FakeClock.suspended += HOUR_NS if known else 0
            for vcpu in qemu.vcpus:
                vcpu.due_ns = vcpu.ran_ns + HOUR_NS

    script = Script(on_load, {"info lapic": suspend})
    result, _ = await campaign(tmp_path, script, 30, mode="tsc-deadline")
    (cell,) = result.cells
    found = Outcome.UNKNOWN if known else Outcome.LOST
    said = whys(result.journal, found)
    assert any("ticks went on after its last load" in why for why in said), said
    assert cell.verdict is (Verdict.CLEAN if known else Verdict.ANOMALOUS), cell.why


async def test_a_clock_that_jumps_without_a_suspension_is_anomalous(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, suspended_once(known=False), trials=25)
    assert result.verdict is Verdict.ANOMALOUS


async def test_losses_on_a_host_that_was_suspended_are_losses(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, suspended_once(lost), trials=5)
    (cell,) = result.cells
    assert result.verdict is Verdict.AFFECTED, cell.why
    assert cell.counts.outcomes == {Outcome.LOST: 5}
    (why,) = whys(result.journal, Outcome.UNKNOWN)
    assert why.startswith("the host was suspended for 3600.0 s")


async def test_a_control_in_which_the_host_was_suspended_is_taken_again(tmp_path: Path) -> None:
    result, host = await campaign(tmp_path, suspended_once(control=True))
    (cell,) = result.cells
    assert result.verdict is Verdict.CLEAN, cell.why
    assert [each.seen for each in cell.counts.controls] == [True, True]
    (why,) = whys(result.journal, Outcome.UNKNOWN)
    assert why.startswith("the host was suspended for 3600.0 s")
    assert sum(bool(qemu.config.control_tick) for qemu in host.started) == 3

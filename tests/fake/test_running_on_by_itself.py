"""Loads after which QEMU itself lets the guest run on: lines from before the load are no ticks."""

from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.snapshot.method import Method
from orchestrator.testing import FakeQemu, FakeVcpu, Script, immediate, lost, only_in_trials
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import PERIOD_MS, campaign, only_ordinary
from tests.support.journal import journal_dicts
from tests.support.new_processes import LOADER, NEW_PROCESS

PERIOD_NS = PERIOD_MS * 1_000_000


async def linger(qemu: FakeQemu) -> None:
    """Let the guest tick on for some periods before QEMU carries out the load."""
    await qemu.clock.sleep(int(3.3 * PERIOD_NS))
    qemu.advance()


async def answer_late(qemu: FakeQemu) -> str:
    """Load, and answer when the loaded guest has ticked."""
    qemu.load(qemu.snapshots[next(reversed(qemu.snapshots))])
    await qemu.clock.sleep(PERIOD_NS // 5)
    qemu.advance()
    return ""


async def test_lines_from_before_the_load_are_no_ticks(tmp_path: Path) -> None:
    script = Script(immediate, {"loadvm": linger})
    result, _ = await campaign(tmp_path, script, 5, resume="auto")
    (cell,) = result.cells
    assert cell.counts.outcomes.total() == 5
    assert not cell.counts.unknown_attempts
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert "/resume=auto" in cell.cell.id


async def test_a_loss_is_found_behind_lines_from_before_the_load(tmp_path: Path) -> None:
    script = Script(only_in_trials(lost), {"loadvm": linger})
    result, _ = await campaign(tmp_path, script, 3, resume="auto")
    (cell,) = result.cells
    assert cell.counts.causes == {Cause.LOST_INTERRUPT: 3}, cell.why
    assert cell.verdict is Verdict.AFFECTED


async def test_a_tick_that_comes_before_the_load_is_answered_is_heard(tmp_path: Path) -> None:
    script = Script(immediate, {"loadvm": answer_late})
    result, _ = await campaign(tmp_path, script, 5, resume="auto")
    (cell,) = result.cells
    assert cell.counts.outcomes.total() == 5
    assert not cell.counts.unknown_attempts
    assert cell.verdict is Verdict.CLEAN, cell.why


async def test_a_load_without_effect_is_named(tmp_path: Path) -> None:
    """The guest ticks on, but as it did before the load."""
    script = Script(immediate, {"loadvm": lambda qemu: None if qemu.config.control_tick else ""})
    result, _ = await campaign(tmp_path, script, 2, resume="auto")
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.NOT_LOADED: 2}
    whys = [r["why"] for r in journal_dicts(result.journal) if r.get("outcome") == "not-loaded"]
    assert all("ticks from before the load went on for 1 s after it" in why for why in whys), whys
    assert cell.verdict is Verdict.ANOMALOUS


async def test_a_loaded_guest_may_skip_a_line(tmp_path: Path) -> None:
    """The next line has the number that would have come without the load."""

    def skip_a_line(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.mute = True
        qemu.do_later(PERIOD_NS // 2, lambda: setattr(vcpu, "mute", False))

    result, _ = await campaign(tmp_path, only_ordinary(skip_a_line), 1, resume="auto")
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.UNKNOWN: 1}, cell.why
    whys = [r["why"] for r in journal_dicts(result.journal) if r.get("outcome") == "unknown"]
    assert all("ticks from before the load went on" in why for why in whys), whys


async def test_a_number_from_before_shows_that_the_load_took_effect(tmp_path: Path) -> None:
    """The lines up to one that was heard before the load are skipped, and the rest are not stale.

    The guest had ticked on for three periods before QEMU loaded.
    """

    def skip_lines(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.mute = True
        qemu.do_later(PERIOD_NS // 2, lambda: setattr(vcpu, "mute", False))

    script = only_ordinary(skip_lines)
    script.on_command["loadvm"] = linger
    result, _ = await campaign(tmp_path, script, 1, resume="auto")
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.UNKNOWN: 1}, cell.why
    whys = [r["why"] for r in journal_dicts(result.journal) if r.get("outcome") == "unknown"]
    assert all("the first line after the load was that of tick" in why for why in whys), whys


async def test_a_qemu_that_leaves_the_guest_paused_is_named(tmp_path: Path) -> None:
    """As the `loadvm` of QEMU 6.0 does."""

    def load_and_stay(qemu: FakeQemu) -> str:
        qemu.load(qemu.snapshots[next(reversed(qemu.snapshots))])
        qemu.running = False
        return ""

    script = Script(immediate, {"loadvm": load_and_stay})
    result, _ = await campaign(tmp_path, script, 2, resume="auto")
    (cell,) = result.cells
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert "left the guest 'paused' after the load" in (cell.counts.failure or "")
    assert not cell.counts.outcomes[Outcome.LOST]
    # The same QEMU does well where losttick itself continues the guest.
    (tmp_path / "cont").mkdir()
    result, _ = await campaign(tmp_path / "cont", script, 5, resume="cont")
    assert result.verdict is Verdict.CLEAN


@pytest.mark.parametrize("method", NEW_PROCESS)
async def test_a_new_qemu_runs_on_by_itself(tmp_path: Path, method: Method) -> None:
    result, host = await campaign(tmp_path, Script(immediate), 5, method=method, resume="auto")
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why
    loaders = [qemu for qemu in host.started if LOADER[method][0] in qemu.argv]
    assert len(loaders) == 7  # two controls, five trials
    for qemu in loaders:
        assert "-S" not in qemu.argv
        assert LOADER[method][0] in qemu.argv
    (tmp_path / "lost").mkdir()
    script = Script(only_in_trials(lost))
    result, _ = await campaign(tmp_path / "lost", script, 2, method=method, resume="auto")
    assert result.verdict is Verdict.AFFECTED


@pytest.mark.parametrize("resume", ["cont", "auto"])
async def test_a_warning_in_the_answer_to_a_load_is_no_failure(tmp_path: Path, resume: str) -> None:
    def load_and_warn(qemu: FakeQemu) -> str:
        qemu.load(qemu.snapshots[next(reversed(qemu.snapshots))])
        return "warning: TSC frequency mismatch between VM (1 kHz) and host (2 kHz)\r\n"

    script = Script(immediate, {"loadvm": load_and_warn})
    result, _ = await campaign(tmp_path, script, 5, resume=resume)
    assert result.verdict is Verdict.CLEAN
    assert not result.cells[0].counts.unknown_attempts


@pytest.mark.parametrize("method", NEW_PROCESS)
async def test_lines_of_a_new_qemu_are_never_from_before_the_load(
    tmp_path: Path, method: Method
) -> None:
    """A storm, of whose ticks only the sixtieth finds time to print, is named by its number."""

    def storm(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.ticks += 60

    result, _ = await campaign(tmp_path, only_ordinary(storm), 2, method=method, resume="auto")
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.EXTRA: 2}, cell.why
    assert not cell.counts.unknown_attempts
    assert cell.verdict is Verdict.ANOMALOUS

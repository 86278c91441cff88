"""On a busy host the window of a control may pass before the guest is stopped."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.findings.save import Save
from orchestrator.journal.file import read_journal
from orchestrator.journal.records import SaveRecord
from orchestrator.journal.trial_record import Role
from orchestrator.testing import (
    FakeQemu,
    FakeVcpu,
    Script,
    full_period,
    immediate,
    only_in_trials,
    remaining,
)
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign
from tests.support.journal import journal_dicts
from tests.support.tick_times import let_qemu_wait

#: Periods until a stop takes effect: the usual window of 6 has too little left then.
LATE_PERIODS = 4.6


async def test_a_window_that_passes_too_soon_is_tried_again_with_a_longer_one(
    tmp_path: Path,
) -> None:
    async def stop(qemu: FakeQemu) -> None:
        if qemu.config.control_tick:
            await qemu.clock.sleep(int(LATE_PERIODS * qemu.period_ns))
            qemu.advance()

    script = Script(only_in_trials(immediate), {"stop": stop})
    result, host = await campaign(tmp_path, script, trials=5)
    assert result.verdict is Verdict.CLEAN, result.cells[0].why
    windows = [qemu.config.control_periods for qemu in host.started if qemu.config.control_tick]
    assert windows == [6, 12, 6, 12]
    records = journal_dicts(result.journal)
    assert [r["attempt"] for r in records if r.get("role") == "control" and r.get("outcome")] == [
        2, 2,
    ]  # fmt: skip


async def test_each_try_has_a_longer_window_that_opens_later(tmp_path: Path) -> None:
    async def stop(qemu: FakeQemu) -> None:
        if qemu.config.control_tick:
            await qemu.clock.sleep(45 * qemu.period_ns)
            qemu.advance()

    script = Script(only_in_trials(immediate), {"stop": stop})
    result, host = await campaign(tmp_path, script, trials=5)
    assert result.verdict is Verdict.CLEAN, result.cells[0].why
    tries = [qemu.config for qemu in host.started if qemu.config.control_tick]
    assert [each.control_periods for each in tries] == [6, 12, 24, 48] * 2
    assert [each.control_tick for each in tries] == [6, 8, 9, 11] * 2
    records = journal_dicts(result.journal)
    assert sum(r["record"] == "failure" for r in records) == 6
    assert len(result.cells[0].counts.controls) == 2


async def test_a_window_that_never_suffices_ends_the_campaign_with_advice(tmp_path: Path) -> None:
    async def stop(qemu: FakeQemu) -> None:
        await qemu.clock.sleep(60 * qemu.period_ns)
        qemu.advance()

    result, host = await campaign(tmp_path, Script(immediate, {"stop": stop}), trials=5)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "Run it again while the host is less busy" in result.cells[0].why
    windows = [qemu.config.control_periods for qemu in host.started if qemu.config.control_tick]
    assert windows == [6, 12, 24, 48, 48, 48]


@pytest.mark.parametrize("period_ms", [5, 10])
async def test_a_timer_that_runs_by_itself_has_a_long_window_on_a_short_period(
    tmp_path: Path, period_ms: int
) -> None:
    """The guest goes on for 30 ms after each request to stop it, and a tick is swallowed."""

    async def stop(qemu: FakeQemu) -> None:
        if qemu.config.control_tick:
            await qemu.clock.sleep(30_000_000)
            qemu.advance()

    script = Script(only_in_trials(full_period), {"stop": stop})
    result, host = await campaign(tmp_path, script, mode="periodic", period_ms=period_ms)
    assert result.verdict is Verdict.CLEAN, result.cells[0].why
    tries = [qemu.config for qemu in host.started if qemu.config.control_tick]
    assert [each.control_periods * each.period_ns >= 120_000_000 for each in tries] == [True] * 2


async def test_a_control_is_seen_although_qemu_waits_for_a_cpu_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its silence is long enough to be proven: QEMU answers in it, and could fire the timer."""
    let_qemu_wait(monkeypatch, 1)
    script = Script(only_in_trials(remaining))
    result, _ = await campaign(tmp_path, script, mode="periodic", accel="tcg", period_ms=20)
    assert result.verdict is Verdict.CLEAN, result.cells[0].why
    assert [control.seen for control in result.cells[0].counts.controls] == [True, True]


async def test_a_wide_window_passes_for_the_most_part_before_the_save(tmp_path: Path) -> None:
    """A silent guest must not be asked to testify while its window lasts."""
    late_stops = iter([7, 14])
    left: list[float] = []

    async def stop(qemu: FakeQemu) -> None:
        if qemu.config.control_tick:
            await qemu.clock.sleep(next(late_stops, 0) * qemu.period_ns)
            qemu.advance()

    def save(qemu: FakeQemu) -> None:
        vcpu = qemu.vcpus[0]
        if vcpu.window_until_ns is not None:
            left.append((vcpu.window_until_ns - vcpu.ran_ns) / qemu.period_ns)

    script = Script(only_in_trials(immediate), {"stop": stop, "savevm": save})
    result, host = await campaign(tmp_path, script)
    assert result.verdict is Verdict.CLEAN, result.cells[0].why
    windows = [qemu.config.control_periods for qemu in host.started if qemu.config.control_tick]
    assert windows == [6, 12, 24, 6]
    assert all(2 <= each <= 12 for each in left)


async def test_a_pending_tick_of_the_window_is_waited_for(tmp_path: Path) -> None:
    """Saved while it is pending, the guest would take it after the load, and one more."""
    looks: list[str] = []

    def look(qemu: FakeQemu) -> str | None:
        text = qemu.vcpus[0].info_lapic()
        if not qemu.config.control_tick or len(looks) >= 2:
            return None
        looks.append(text)
        return text.replace("IRR\t (none)", "IRR\t 65")

    result, _ = await campaign(tmp_path, Script(immediate, {"info lapic": look}), trials=5)
    assert result.verdict is Verdict.CLEAN, result.cells[0].why
    saves = [
        r for r in journal_dicts(result.journal)
        if r["record"] == "save" and r["role"] == "control"
    ]  # fmt: skip
    assert len(looks) == 2
    assert [save["irr"] for save in saves] == [[], []]


async def saves_of_controls(
    tmp_path: Path, command: str, shown: Callable[[FakeVcpu], str], usual: str, odd: str
) -> list[Save]:
    """Return the saves of two controls, whose vCPU 0 is odd at the first two looks at it."""
    looks: list[str] = []

    def look(qemu: FakeQemu) -> str | None:
        text = shown(qemu.vcpus[0])
        if not qemu.config.control_tick or len(looks) >= 4:
            return None
        looks.append(text)  # of vCPU 0, and of vCPU 1 with the control
        return text.replace(usual, odd) if len(looks) % 2 else text

    result, _ = await campaign(tmp_path, Script(immediate, {command: look}), trials=5, vcpus=2)
    assert len(looks) == 4
    saves = [
        record.save
        for record in read_journal(result.journal)
        if isinstance(record, SaveRecord) and record.role is Role.CONTROL
    ]
    assert len(saves) == 2
    return saves


async def test_a_pending_tick_of_another_vcpu_is_waited_for(tmp_path: Path) -> None:
    saves = await saves_of_controls(
        tmp_path, "info lapic", FakeVcpu.info_lapic, "IRR\t (none)", "IRR\t 64"
    )
    assert not any(part.irr for save in saves for part in save.vcpus)


async def test_another_vcpu_in_the_handler_of_its_tick_is_waited_for(tmp_path: Path) -> None:
    """Its timer is over, and expires once more at the load; the handler arms it besides."""
    saves = await saves_of_controls(
        tmp_path, "info registers", FakeVcpu.info_registers, "EFL=00000246", "EFL=00000046"
    )
    assert all(part.interrupt_flag for save in saves for part in save.vcpus)


async def test_a_guest_whose_interrupt_stays_pending_is_saved_as_it_was_last_stopped(
    tmp_path: Path,
) -> None:
    """After the last attempt to catch it without the interrupt the guest must not go on."""

    def look(qemu: FakeQemu) -> str | None:
        text = qemu.vcpus[0].info_lapic()
        return text.replace("IRR\t (none)", "IRR\t 65") if qemu.config.control_tick else None

    stopped: list[bool] = []

    async def save(qemu: FakeQemu) -> None:
        if qemu.config.control_tick:
            stopped.append(not qemu.running)

    script = Script(immediate, {"info lapic": look, "savevm": save})
    await campaign(tmp_path, script, trials=5)
    assert stopped
    assert all(stopped)

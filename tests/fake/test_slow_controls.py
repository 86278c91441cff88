"""On a busy host the window of a control may pass before the guest is stopped."""

from pathlib import Path

from orchestrator.testing import FakeQemu, Script, immediate, only_in_trials
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign
from tests.support.journal import journal_dicts

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

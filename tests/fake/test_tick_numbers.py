"""Loads without effect, and guests whose ticks are too many to be printed: numbers tell."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.process.exit import ProcessExit
from orchestrator.testing import FakeQemu, FakeVcpu, Script, immediate
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import journal_dicts


def told(path: Path) -> dict[str, object]:
    return next(
        each for each in journal_dicts(path)
        if each["record"] == "trial" and each["role"] == "host" and each.get("evidence")
    )  # fmt: skip


@pytest.mark.parametrize("axes", [{}, {"vcpus": 2}, {"mode": "periodic"}])
async def test_a_load_without_effect_is_named(tmp_path: Path, axes: dict[str, object]) -> None:
    """The guest goes on where it was when it was stopped for the load."""

    def nothing(qemu: FakeQemu) -> object:
        return None if qemu.config.control_tick else ""

    script = only_ordinary(immediate)
    script.on_command["loadvm"] = nothing
    result, _ = await campaign(tmp_path, script, trials=2, **axes)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.NOT_LOADED: 2}, cell.why
    assert cell.counts.causes == {Cause.NO_EFFECT: 2}
    assert cell.counts.unknown_attempts == 0
    assert cell.verdict is Verdict.ANOMALOUS
    assert "the first line after the load" in str(told(result.journal)["why"])


async def test_a_guest_that_runs_another_state_is_named(tmp_path: Path) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        if vcpu.ticks > 3:
            vcpu.ticks, vcpu.arms = 1, 2
        immediate(qemu, vcpu, number)

    script = only_ordinary(on_load)
    result, _ = await campaign(tmp_path, script, trials=6, method="loadvm", cycle="chain")
    (cell,) = result.cells
    assert cell.counts.outcomes[Outcome.NOT_LOADED] >= 2, cell.why
    assert cell.counts.causes == {Cause.NO_EFFECT: cell.counts.outcomes[Outcome.NOT_LOADED]}
    assert "goes on from another state" in str(told(result.journal)["why"])


@pytest.mark.parametrize("more", [3, 20])
async def test_more_ticks_before_the_first_line_than_the_time_allows(
    tmp_path: Path, more: int
) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.ticks += more
        vcpu.arms += more

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=2)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.EXTRA: 2}, cell.why
    assert cell.verdict is Verdict.ANOMALOUS
    assert f"{more + 1} ticks came in 0.0" in str(told(result.journal)["why"])


async def test_more_ticks_between_two_lines_than_the_time_allows(tmp_path: Path) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        def burst() -> None:
            vcpu.ticks += 9
            vcpu.arms += 9

        immediate(qemu, vcpu, number)
        qemu.do_later(qemu.period_ns // 2, burst)

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=2)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.EXTRA: 2}, cell.why
    assert "10 ticks came in 1.0" in str(told(result.journal)["why"])


@pytest.mark.parametrize(("begin", "end"), [(0.0, 1.5), (0.5, 7.5)])
async def test_lines_that_are_missing_prove_nothing(
    tmp_path: Path, begin: float, end: float
) -> None:
    """So many periods pass that the time allows the number of the next line."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.mute = not begin
        qemu.do_later(int(begin * qemu.period_ns), lambda: setattr(vcpu, "mute", True))
        qemu.do_later(int(end * qemu.period_ns), lambda: setattr(vcpu, "mute", False))

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=1)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.UNKNOWN: 1}
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert "paused" not in result.journal.read_text(), "losttick's own stop is no finding"


async def fail(qemu: FakeQemu) -> object:
    return "Error: no such snapshot\r\n"


async def hang(qemu: FakeQemu) -> object:
    await qemu.clock.sleep(3600 * 10**9)
    return ""


async def crash(qemu: FakeQemu) -> object:
    qemu.end(ProcessExit(-11, ""))
    return ""


def fails_when_loaded_again(again: Callable[[FakeQemu], Awaitable[object]]) -> Script:
    """Return a script in which the first line after a load is skipped.

    So losttick loads the save again.
    """

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.mute = True
        qemu.do_later(qemu.period_ns // 2, lambda: setattr(vcpu, "mute", False))

    async def load(qemu: FakeQemu) -> object:
        return None if qemu.config.control_tick or not qemu.loads else await again(qemu)

    script = only_ordinary(on_load)
    script.on_command["loadvm"] = load
    return script


async def test_a_crash_in_the_second_load_is_named(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, fails_when_loaded_again(crash), trials=1)
    assert result.cells[0].counts.causes == {Cause.QEMU_CRASHED: 1}


@pytest.mark.parametrize("again", [fail, hang])
async def test_a_second_load_that_fails_shows_nothing(
    tmp_path: Path, again: Callable[[FakeQemu], Awaitable[object]]
) -> None:
    result, _ = await campaign(tmp_path, fails_when_loaded_again(again), trials=1)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.UNKNOWN: 1}, cell.why
    whys = [r["why"] for r in journal_dicts(result.journal) if r.get("outcome") == "unknown"]
    assert all("the first line after the load was that of tick" in why for why in whys), whys
    assert "paused" not in result.journal.read_text()


async def test_a_number_that_the_guest_s_memory_does_not_have_proves_nothing(
    tmp_path: Path,
) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.ticks, vcpu.mark = vcpu.ticks + 20, True

    def count_anew(qemu: FakeQemu) -> None:
        for vcpu in qemu.vcpus:
            vcpu.ticks, vcpu.mark = vcpu.ticks - 20 * vcpu.mark, False

    script = only_ordinary(on_load)
    script.on_command["pmemsave"] = count_anew
    result, _ = await campaign(tmp_path, script, trials=1)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.UNKNOWN: 1}


async def test_a_load_without_effect_that_is_not_repeated_shows_in_the_time_of_the_first_line(
    tmp_path: Path,
) -> None:
    """Only every other load does nothing. The stop for it takes a part of the guest's period."""
    loads = 0

    async def every_other(qemu: FakeQemu) -> object:
        nonlocal loads
        loads += 1
        if loads % 2 == 0 or qemu.config.control_tick:
            return None
        (vcpu,) = qemu.vcpus
        assert vcpu.due_ns is not None
        vcpu.due_ns -= qemu.period_ns // 10  # the timer of KVM's LAPIC goes on in a stopped guest
        return ""

    script = only_ordinary(immediate)
    script.on_command["loadvm"] = every_other
    result, _ = await campaign(tmp_path, script, trials=2)
    (cell,) = result.cells
    assert cell.counts.outcomes[Outcome.NOT_LOADED] >= 1, cell.why
    assert "goes on as if the save, which has tick" in str(told(result.journal)["why"])


@pytest.mark.parametrize(
    ("pace", "outcome", "cause"),
    [(0.05, Outcome.EXTRA, Cause.STORM), (1.0, Outcome.UNKNOWN, Cause.CONSOLE_DEAD)],
)
async def test_a_guest_that_ticks_and_prints_nothing(
    tmp_path: Path, pace: float, outcome: Outcome, cause: Cause
) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.pace, vcpu.mute = pace, True

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=2)
    (cell,) = result.cells
    assert cell.counts.outcomes == {outcome: 2}, cell.why
    assert cell.counts.causes == {cause: 2}

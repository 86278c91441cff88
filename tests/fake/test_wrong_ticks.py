"""Ticks at wrong times after a load, and hosts on which the vCPU waits for a CPU."""

import functools
from collections.abc import Collection
from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FakeQemu, FakeVcpu, full_period, immediate
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import journal_dicts
from tests.support.tick_times import every, first_after, let_qemu_wait, second_after


def jump(seconds: float) -> Behaviour:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.skip(int(seconds * 1e9), qemu.config)

    return on_load


def freeze_after(ticks: int) -> Behaviour:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.ticks_left = ticks

    return on_load


def waiting(behaviour: Behaviour, periods: float) -> Behaviour:
    """The vCPU waits for a CPU once it has resumed; its timer and its TSC go on."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        behaviour(qemu, vcpu, number)
        vcpu.waits_ns = int(periods * qemu.period_ns)

    return on_load


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (first_after(0.25), Outcome.EARLY),
        (first_after(1.4), Outcome.LATE),
        (first_after(1.6), Outcome.LATE),
        (first_after(3), Outcome.MISSED),
        (second_after(1.4), Outcome.LATE),
        (second_after(3), Outcome.MISSED),
        (second_after(0.4), Outcome.EXTRA),
        (every(0.12), Outcome.EXTRA),
        (every(1.5), Outcome.RATE),
        (jump(5), Outcome.CLOCK),
        (jump(-5), Outcome.CLOCK),
    ],
)
async def test_a_tick_at_a_wrong_time(
    tmp_path: Path, behaviour: Behaviour, outcome: Outcome
) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(behaviour), trials=3)
    (cell,) = result.cells
    assert {kind for kind, number in cell.counts.outcomes.items() if number} == {outcome}
    (first, *_) = (
        each for each in journal_dicts(tmp_path / "journal.jsonl") if each.get("evidence")
        and each["record"] == "trial" and each["outcome"] == outcome
    )  # fmt: skip
    assert first["why"]


@pytest.mark.parametrize("periods", [0.5, 2.0])
async def test_a_periodic_timer_with_a_wrong_period(tmp_path: Path, periods: float) -> None:
    """A first tick that waited for the guest says nothing of the second: the last load tells."""
    result, _ = await campaign(tmp_path, only_ordinary(every(periods)), trials=3, mode="periodic")
    (cell,) = result.cells
    wrong = {kind for kind, number in cell.counts.outcomes.items() if number and not kind.ticked}
    assert wrong == {Outcome.RATE}
    assert cell.verdict is Verdict.ANOMALOUS


@pytest.mark.parametrize(("after", "missed"), [(2.0, 1), (3.0, 2), (4.0, 3)])
async def test_the_number_of_missing_periods(tmp_path: Path, after: float, missed: int) -> None:
    await campaign(tmp_path, only_ordinary(first_after(after)), trials=1)
    trial = next(
        each for each in journal_dicts(tmp_path / "journal.jsonl")
        if each["record"] == "trial" and each["outcome"] == "missed"
    )  # fmt: skip
    assert trial["missing_periods"] == missed


@pytest.mark.parametrize("periods", [0.7, 1.4, 6.5])
async def test_a_vcpu_that_waits_for_a_cpu_is_not_late(tmp_path: Path, periods: float) -> None:
    """It waits once it has resumed and after each tick: by the TSC all ticks are late."""

    def starved(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        waiting(immediate, periods)(qemu, vcpu, number)
        vcpu.starved = periods

    result, _ = await campaign(tmp_path, only_ordinary(starved), trials=5)
    (cell,) = result.cells
    assert all(kind.ticked for kind, number in cell.counts.outcomes.items() if number)


async def test_a_tick_that_is_late_beside_a_wait_for_a_cpu(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(waiting(first_after(1.7), 0.4)), trials=3)
    (cell,) = result.cells
    assert {kind for kind, number in cell.counts.outcomes.items() if number} == {Outcome.LATE}


@pytest.mark.parametrize(
    ("periods", "waits", "outcome"),
    [(7, False, Outcome.RECOVERED), (7, True, Outcome.INDISTINCT), (10, True, Outcome.RECOVERED)],
)
async def test_a_long_silence_while_qemu_itself_waits_for_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, periods: int, *, waits: bool, outcome: Outcome
) -> None:
    """QEMU's main loop fires the timer of a LAPIC that is QEMU's own.

    In ten periods the silence is proven: QEMU has answered, and could fire the timer.
    """

    let_qemu_wait(monkeypatch, float(waits))
    script = only_ordinary(second_after(periods))
    result, _ = await campaign(tmp_path, script, trials=2, accel="tcg")
    (cell,) = result.cells
    assert {kind for kind, number in cell.counts.outcomes.items() if number} == {outcome}


@pytest.mark.parametrize("waits", [False, True])
async def test_a_sleeping_vcpu_that_waits_at_each_tick_has_no_other_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, waits: bool
) -> None:
    async def waited_ns(qemu: FakeQemu, besides: Collection[int]) -> int:
        assert not besides, "the waits of a vCPU that sleeps count"
        return qemu.clock.now_ns() if waits else 0

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        full_period(qemu, vcpu, number)
        vcpu.pace = 1.5

    monkeypatch.setattr(FakeQemu, "waited_ns", waited_ns)
    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=2, wait="halt")
    (cell,) = result.cells
    seen = {kind for kind, number in cell.counts.outcomes.items() if number}
    assert seen == ({Outcome.LATE} if waits else {Outcome.RATE})


@pytest.mark.parametrize(
    ("mode", "waits", "outcome"),
    [
        ("periodic", True, Outcome.INDISTINCT),
        ("periodic", False, Outcome.EXTRA),
        ("one-shot", True, Outcome.EXTRA),
    ],
)
async def test_a_tick_too_soon_after_one_that_waited_for_its_sleeping_vcpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, *, waits: bool, outcome: Outcome
) -> None:
    """A timer that the guest arms at each tick begins a whole period after a late tick."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        full_period(qemu, vcpu, number)
        vcpu.stretch_next_ns = int(-0.6 * qemu.period_ns)

    let_qemu_wait(monkeypatch, float(waits))
    script = only_ordinary(on_load)
    result, _ = await campaign(tmp_path, script, trials=2, wait="halt", mode=mode)
    (cell,) = result.cells
    assert {kind for kind, number in cell.counts.outcomes.items() if number} == {outcome}


async def test_a_storm_takes_more_than_one_wait_of_its_sleeping_vcpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QEMU waits for 0.8 periods while 15 ticks come too soon, by 9 periods altogether."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        full_period(qemu, vcpu, number)
        period_ns, at_ns = qemu.period_ns, qemu.period_ns // 2
        for sooner in (0.88, 0.3) * 10:
            shorten = functools.partial(setattr, vcpu, "stretch_next_ns", int(-sooner * period_ns))
            qemu.do_later(at_ns, shorten)
            at_ns += int((1 - sooner) * period_ns)

    let_qemu_wait(monkeypatch, 1 / 8)
    script = only_ordinary(on_load)
    result, _ = await campaign(tmp_path, script, trials=2, wait="halt", mode="periodic")
    (cell,) = result.cells
    assert {kind for kind, number in cell.counts.outcomes.items() if number} == {Outcome.EXTRA}


async def test_an_extra_tick_counts_though_many_lines_are_missing_later(tmp_path: Path) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        second_after(0.4)(qemu, vcpu, number)
        for at, mute in ((1.9, True), (6.9, False)):
            silence = functools.partial(setattr, vcpu, "mute", mute)
            qemu.do_later(int(at * qemu.period_ns), silence)

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=2)
    (cell,) = result.cells
    assert {kind for kind, number in cell.counts.outcomes.items() if number} == {Outcome.EXTRA}


@pytest.mark.parametrize("ticks", [3, 4])
async def test_a_guest_that_freezes_some_ticks_after_its_load(tmp_path: Path, ticks: int) -> None:
    """It is found among the ticks after the last load, and no save is taken of its dead timer."""
    result, _ = await campaign(tmp_path, only_ordinary(freeze_after(ticks)), trials=6)
    (cell,) = result.cells
    assert cell.counts.outcomes[Outcome.LOST] >= 1
    assert cell.counts.bug_losses == 0
    assert set(cell.counts.causes) == {Cause.LOST_INTERRUPT}


@pytest.mark.parametrize("ticks", range(4, 20, 2))
async def test_no_save_is_loaded_whose_timer_is_dead(tmp_path: Path, ticks: int) -> None:
    """The timer looks armed in such a save, and QEMU makes its count up."""
    dead: list[int] = []

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        if vcpu.due_ns is None:
            dead.append(number)
        freeze_after(ticks)(qemu, vcpu, number)

    await campaign(tmp_path, only_ordinary(on_load), trials=8, cycle="chain")
    assert not dead


@pytest.mark.parametrize("mode", ["one-shot", "periodic"])
@pytest.mark.parametrize(
    ("periods", "said"),
    [(1.05, "5.0% longer after loads"), (1.0, None), (0.975, "2.5% shorter after loads")],
)
async def test_a_period_that_is_a_little_off(
    tmp_path: Path, mode: str, *, periods: float, said: str | None
) -> None:
    """No tick is late or extra by itself."""
    script = only_ordinary(every(periods))
    result, _ = await campaign(tmp_path, script, trials=60, mode=mode)
    (cell,) = result.cells
    assert all(kind.ticked for kind, number in cell.counts.outcomes.items() if number)
    assert cell.verdict is (Verdict.ANOMALOUS if said else Verdict.CLEAN), cell.why
    assert ("rate: the timer's period is" in cell.why) is bool(said)
    assert (said or "") in cell.why
    assert cell.why.count("the timer's period is") <= 1


async def test_a_periodic_timer_of_qemu_itself_whose_initial_count_a_load_changed(
    tmp_path: Path,
) -> None:
    """On a busy host QEMU makes ticks of its own timers late by as much, so the ticks prove
    nothing."""

    def longer(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        every(1.05)(qemu, vcpu, number)
        vcpu.tmict = int(1.05 * qemu.period_ns)

    script = only_ordinary(longer)
    result, _ = await campaign(tmp_path, script, 6, accel="tcg", mode="periodic", loads_per_save=2)
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    assert cell.counts.outcomes[Outcome.RATE]
    said = "its initial count is 105000000, and was 100000000 in the save"
    rates = [r["why"] for r in journal_dicts(result.journal) if r.get("outcome") == "rate"]
    assert all(why.endswith(f"changed the LAPIC's timer: {said}") for why in rates)

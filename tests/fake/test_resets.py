"""Guests that are reset after a load, without a word of QEMU's."""

from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.tick.lines import render
from orchestrator.testing import FakeQemu, FakeVcpu, Script, immediate, lost, only_in_trials
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import journal_dicts


def reset_after(periods: float, *, every: int = 1, silent: bool = False) -> Behaviour:
    """Reset the guest after every so many loads; a silent one never ticks again."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        def reset() -> None:
            qemu.reset()
            for each in qemu.vcpus:
                each.due_ns = None if silent else each.due_ns

        immediate(qemu, vcpu, number)
        if number % every == 0 and vcpu.vcpu == qemu.config.vcpus - 1:
            if periods:
                qemu.do_later(int(periods * qemu.period_ns), reset)
            else:
                reset()

    return on_load


def why_of(path: Path) -> str:
    told = next(r for r in journal_dicts(path) if r.get("outcome") == "crashed")
    return str(told["why"])


@pytest.mark.parametrize("periods", [0, 0.5])
@pytest.mark.parametrize(
    "axes",
    [
        {}, {"vcpus": 2}, {"resume": "auto"}, {"mode": "periodic"}, {"wait": "halt"},
        {"method": "loadvm"},
    ],
)  # fmt: skip
async def test_a_guest_that_is_reset_has_crashed(
    tmp_path: Path, axes: dict[str, object], periods: float
) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(reset_after(periods)), trials=2, **axes)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.CRASHED: 2}, cell.why
    assert cell.counts.causes == {Cause.GUEST_CRASHED: 2}
    assert cell.counts.unknown_attempts == 0
    assert cell.verdict is Verdict.ANOMALOUS
    assert "the guest was reset: tick 1 came after tick" in why_of(result.journal)
    assert "had said that it begins" in why_of(result.journal)


async def test_a_reset_after_few_loads(tmp_path: Path) -> None:
    script = only_ordinary(reset_after(0.5, every=20))
    result, _ = await campaign(tmp_path, script, trials=60)
    (cell,) = result.cells
    assert 2 <= cell.counts.outcomes[Outcome.CRASHED] <= 3
    assert cell.verdict is Verdict.ANOMALOUS, cell.why


@pytest.mark.parametrize("periods", [0, 0.5])
@pytest.mark.parametrize("vcpus", [1, 2])
async def test_the_guest_s_memory_tells_where_no_line_does(
    tmp_path: Path, periods: float, vcpus: int
) -> None:
    """Only the first vCPU says that it begins. Here only the last one begins anew.

    That of a guest which was saved at its first tick cannot tell, nor that of one which has counted
    past its number in the save.
    """

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        def reset() -> None:
            vcpu.ticks, vcpu.arms = 0, 1

        immediate(qemu, vcpu, number)
        if vcpu.vcpu == vcpus - 1 and vcpu.ticks > 1:
            if periods:
                qemu.do_later(int(periods * qemu.period_ns), reset)
            else:
                reset()

    script = only_ordinary(on_load)
    result, _ = await campaign(tmp_path, script, trials=4, vcpus=vcpus, loads_per_save=1)
    (cell,) = result.cells
    assert cell.counts.outcomes[Outcome.CRASHED], cell.why
    assert cell.counts.causes[Cause.GUEST_CRASHED]
    assert cell.verdict is Verdict.ANOMALOUS
    assert "its memory counts from 1 as well" in why_of(result.journal)


async def test_a_guest_that_is_reset_and_then_silent(tmp_path: Path) -> None:
    script = only_ordinary(reset_after(0.5, silent=True))
    result, _ = await campaign(tmp_path, script, trials=2)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.CRASHED: 2}, cell.why
    assert cell.counts.causes == {Cause.GUEST_CRASHED: 2}
    assert "it said that it begins, then: no tick" in why_of(result.journal)


async def test_a_number_that_the_guest_s_memory_does_not_have_is_no_reset(tmp_path: Path) -> None:
    """A line says 1, and nobody else does."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        def lie() -> None:
            words = (vcpu.tsc >> 32, vcpu.tsc & 0xFFFFFFFF, 0, 2)
            qemu.say(render("T", 1, 1000, *words))

        immediate(qemu, vcpu, number)
        qemu.do_later(qemu.period_ns // 2, lie)

    result, _ = await campaign(tmp_path, only_ordinary(on_load), trials=1)
    assert result.cells[0].counts.outcomes == {Outcome.UNKNOWN: 1}


@pytest.mark.parametrize(
    ("behaviour", "verdict"), [(immediate, Verdict.CLEAN), (lost, Verdict.AFFECTED)]
)
async def test_a_line_from_before_the_load_is_no_reset(
    tmp_path: Path, behaviour: Behaviour, verdict: Verdict
) -> None:
    """It arrives after a load into the running guest, before the first tick."""

    def late(qemu: FakeQemu) -> None:
        if not qemu.config.control_tick:
            qemu.say(render("R", 0, 1))

    script = Script(only_in_trials(behaviour), {"loadvm": late})
    result, _ = await campaign(tmp_path, script, trials=5, resume="auto")
    (cell,) = result.cells
    assert cell.verdict is verdict, cell.why


@pytest.mark.parametrize("cycle", ["fresh", "repeat"])
async def test_a_guest_that_is_reset_when_nobody_follows_it_any_more(
    tmp_path: Path, cycle: str
) -> None:
    """After the last tick that is followed, before the next save or the end."""
    struck: set[FakeQemu] = set()

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        struck.discard(qemu)

    async def reset(qemu: FakeQemu) -> None:
        """As a save is deleted for the next one, or as the guest is stopped after its last load."""
        if qemu.loads and not qemu.config.control_tick and qemu not in struck:
            struck.add(qemu)
            qemu.reset()

    script = only_ordinary(on_load)
    script.on_command["delvm" if cycle == "repeat" else "stop"] = reset
    plan = {"cycle": cycle, "loads_per_save": 2, "trials": 4, "phase": 0.5}
    result, _ = await campaign(tmp_path, script, **plan)  # type: ignore[arg-type]
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    assert "later the guest was reset: it counts" in why_of(result.journal)

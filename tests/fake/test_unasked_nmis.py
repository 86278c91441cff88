"""NMIs that nobody sent: the guest's own line is the only sign of one."""

from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FakeQemu, FakeVcpu, Script, full_period, immediate, lost
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import journal_dicts


def take_nmi(qemu: FakeQemu, vcpu: int) -> None:
    qemu.say(qemu.vcpus[vcpu].testify(qemu.config))


def with_nmi(
    behaviour: Behaviour, *, at: float = 0.3, every: int = 1, vcpu: int | None = None
) -> Behaviour:
    """Let a vCPU, by default the last one, take an NMI some periods after every so many loads."""

    def on_load(qemu: FakeQemu, one: FakeVcpu, number: int) -> None:
        behaviour(qemu, one, number)
        struck = qemu.config.vcpus - 1 if vcpu is None else vcpu
        if one.vcpu == struck and number % every == 0:
            qemu.do_later(int(at * qemu.period_ns), lambda: take_nmi(qemu, struck))

    return on_load


@pytest.mark.parametrize(
    "axes",
    [
        {}, {"vcpus": 2}, {"resume": "auto"}, {"cycle": "chain"}, {"wait": "halt"},
        {"mode": "periodic"}, {"method": "loadvm"},
    ],
)  # fmt: skip
async def test_an_nmi_that_nobody_sent_is_said(tmp_path: Path, axes: dict[str, object]) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(with_nmi(immediate)), trials=3, **axes)
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    assert cell.counts.outcomes == {Outcome.EXTRA: 3}
    assert cell.counts.causes == {Cause.WRONG_VECTOR: 3}
    told = next(r for r in journal_dicts(result.journal) if r.get("outcome") == "extra")
    assert told["why"] == "ticks went on, but it took 1 NMI(s) that nobody had sent"
    assert told.get("vcpu", 0) == axes.get("vcpus", 1) - 1  # type: ignore[operator]


async def test_an_nmi_at_few_loads(tmp_path: Path) -> None:
    script = only_ordinary(with_nmi(immediate, every=20))
    result, _ = await campaign(tmp_path, script, trials=60)
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    assert 2 <= cell.counts.outcomes[Outcome.EXTRA] <= 3


async def test_an_nmi_beside_another_interrupt_is_said_once(tmp_path: Path) -> None:
    def stray(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = vcpu.ran_ns + 3 * qemu.period_ns
        vcpu.strays += 1

    result, _ = await campaign(tmp_path, only_ordinary(with_nmi(stray)), trials=1)
    told = next(r for r in journal_dicts(result.journal) if r.get("outcome") == "extra")
    assert told["why"].count("NMI(s)") == told["why"].count("interrupt(s)") == 1


async def test_an_nmi_at_the_load_that_loses_the_tick(tmp_path: Path) -> None:
    """The guest counts it to losttick's own, so that it arms its timer one NMI sooner."""
    script = Script(with_nmi(lost))  # of controls as well
    result, _ = await campaign(tmp_path, script, trials=2)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.LOST: 2}
    assert cell.counts.causes == {Cause.LOST_INTERRUPT: 2}, cell.why
    assert [control.seen for control in cell.counts.controls] == [True, True]
    told = next(r for r in journal_dicts(result.journal) if r.get("outcome") == "lost")
    assert "NMI(s) that nobody had sent" in told["why"]


@pytest.mark.parametrize("behaviour", [lost, full_period])
@pytest.mark.parametrize("axes", [{}, {"vcpus": 2}, {"resume": "auto"}])
async def test_losttick_s_own_nmis_accuse_nobody(
    tmp_path: Path, behaviour: Behaviour, axes: dict[str, object]
) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(behaviour), trials=3, **axes)
    (cell,) = result.cells
    assert not cell.counts.outcomes[Outcome.EXTRA], cell.why
    assert "nobody had sent" not in result.journal.read_text()


@pytest.mark.parametrize("vcpus", [1, 2])
async def test_a_line_from_before_the_load_accuses_no_load(tmp_path: Path, vcpus: int) -> None:
    """It arrives after a load into the running guest, before the first tick."""

    def late(qemu: FakeQemu) -> None:
        if not qemu.config.control_tick:
            for vcpu in range(vcpus):
                take_nmi(qemu, vcpu)

    script = only_ordinary(immediate)
    script.on_command["loadvm"] = late
    result, _ = await campaign(tmp_path, script, trials=5, resume="auto", vcpus=vcpus)
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert not cell.counts.outcomes[Outcome.EXTRA]

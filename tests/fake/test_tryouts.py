"""Which failures of a cell's first instance are skips, and which are failures of the harness."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.campaign.cell_fit import check_cell_fits
from orchestrator.campaign.preview import preview
from orchestrator.campaign.run import run_plan
from orchestrator.campaign.unfit import UnfitCellError
from orchestrator.errors import InfraError
from orchestrator.guest.tick.lines import FAULTS, REFUSALS, render
from orchestrator.plan.load import build_plan
from orchestrator.process.exit import ProcessExit
from orchestrator.testing import FakeHost, Script
from orchestrator.testing.qemu import FakeQemu
from orchestrator.testing.script import Command
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import DEFAULT_MEMORY_MIB, Accel
from orchestrator.vm.tryout import why_not

PLAN = build_plan({"axes": {"accel": "kvm", "memory_mib": 64}, "seed": 1}, "test")


async def never_answers(qemu: FakeQemu) -> None:
    await qemu.clock.sleep(3_600_000_000_000)


def ends(how: ProcessExit) -> Command:
    def end(qemu: FakeQemu) -> None:
        qemu.end(how)

    return end


def freeze(qemu: FakeQemu) -> None:
    qemu.frozen = True


def freeze_after_the_first_line(qemu: FakeQemu) -> None:
    qemu.do_later(1_000_000, lambda: freeze(qemu))


def never_tick(qemu: FakeQemu) -> None:
    for vcpu in qemu.vcpus:
        vcpu.due_ns = None


SILENT = {"query-cpus-fast": never_answers}
KILLED = {"query-cpus-fast": ends(ProcessExit(-9, ""))}
LAB_ENDED = {"query-cpus-fast": ends(ProcessExit(1, "the lab stalled", of_its_host=True))}


def refuse(qemu: FakeQemu) -> None:
    """Refuse the machine that is tried, and no other."""
    if qemu.argument("-m").startswith("64"):
        qemu.end(ProcessExit(1, "KVM does not support this"))


REFUSED = {"query-cpus-fast": refuse}


@pytest.mark.parametrize(
    ("commands", "verdict", "words"),
    [
        (SILENT, Verdict.INCONCLUSIVE, "no answer"),
        (KILLED, Verdict.INCONCLUSIVE, "signal 9"),
        (LAB_ENDED, Verdict.INCONCLUSIVE, "the lab stalled"),
        (
            {"query-cpus-fast": freeze_after_the_first_line},
            Verdict.INCONCLUSIVE,
            "the guest started, but does not tick, and QEMU's threads waited 3.0 s for a CPU in "
            "the 3.0 s since its start. Run it again while the host is less busy",
        ),
        (
            {"query-cpus-fast": never_tick},
            Verdict.INCONCLUSIVE,
            "the guest started, but does not tick (QEMU says: running)",
        ),
        (REFUSED, Verdict.SKIPPED, "KVM does not support this"),
    ],
)
async def test_only_a_refusal_is_a_skip(
    tmp_path: Path, commands: dict[str, Command], verdict: Verdict, words: str
) -> None:
    host = FakeHost(Script(on_command=commands))
    result = await run_plan(host, PLAN, Accel.KVM, tmp_path)
    assert result.verdict is verdict
    assert words in result.cells[0].why
    assert result.failed is (verdict is Verdict.INCONCLUSIVE and "less busy" not in words)
    (shown,) = [
        each
        async for each in preview(
            PLAN.cells(Accel.KVM), lambda _: lambda: contextlib.nullcontext(host)
        )
    ]
    assert shown.fails is (verdict is Verdict.INCONCLUSIVE)
    assert shown.transient is (shown.fails and not result.failed)
    assert words in (shown.why_not or "")


async def a_second(qemu: FakeQemu) -> None:
    await qemu.clock.sleep(1_000_000_000)


async def test_a_qemu_that_losttick_gave_up_on_is_not_called_killed() -> None:
    (shown,) = [
        each
        async for each in preview(
            PLAN.cells(Accel.KVM),
            lambda _: lambda: contextlib.nullcontext(FakeHost(Script(on_command=SILENT))),
        )
    ]
    assert "run it while the host is less busy, or raise --command-deadline" in (
        shown.why_not or ""
    )
    assert "signal" not in (shown.why_not or "")


class Refusing(FakeHost):
    """A host whose guests begin with a refusal."""

    def __init__(self, code: int, *, busy: bool = False) -> None:
        super().__init__(Script(on_command={"query-cpus-fast": a_second}))
        self.code, self.busy = code, busy

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> FakeQemu:
        qemu = await super().start_qemu(args, files, consoles=consoles)
        qemu.frozen = self.busy
        qemu.say(render("B", self.code))
        return qemu


@pytest.mark.parametrize(
    ("code", "lacks"),
    [*((code, False) for code in sorted(FAULTS)), (7, True), (8, True), (10, True), (15, True)],
)
async def test_a_guest_refuses_for_what_it_lacks_or_for_what_went_wrong(
    tmp_path: Path, code: int, lacks: bool
) -> None:
    result = await run_plan(Refusing(code), PLAN, Accel.KVM, tmp_path)
    assert REFUSALS[code] in result.cells[0].why
    assert result.verdict is (Verdict.SKIPPED if lacks else Verdict.INCONCLUSIVE)
    assert result.failed is not lacks


async def test_a_vcpu_that_a_busy_host_keeps_from_starting_is_no_fault(tmp_path: Path) -> None:
    result = await run_plan(Refusing(9, busy=True), PLAN, Accel.KVM, tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "while the host is less busy" in result.cells[0].why
    assert not result.failed


async def test_an_instance_that_has_ticked_is_not_tried_again() -> None:
    host = FakeHost(Script())
    (cell,) = PLAN.cells(Accel.KVM)
    plain = replace(cell, memory_mib=DEFAULT_MEMORY_MIB)
    assert await why_not(host, Accel.KVM) is None
    assert len(host.started) == 1
    await check_cell_fits(host, plain, host.facts.need_qemu())
    assert len(host.started) == 1
    await check_cell_fits(host, cell, host.facts.need_qemu())
    assert len(host.started) == 2
    assert await why_not(host, Accel.KVM) is None  # this one is asked for
    assert len(host.started) == 3


async def test_an_instance_that_has_not_ticked_is_tried_again() -> None:
    host = FakeHost(Script(on_command=dict(REFUSED)))
    (cell,) = PLAN.cells(Accel.KVM)
    with pytest.raises(UnfitCellError):
        await check_cell_fits(host, cell, host.facts.need_qemu())
    assert len(host.started) == 2, "the machine, and the plainest one"
    with pytest.raises(UnfitCellError):
        await check_cell_fits(host, cell, host.facts.need_qemu())
    assert len(host.started) == 3, "the plainest one has ticked"
    host.script.on_command.clear()
    await check_cell_fits(host, cell, host.facts.need_qemu())
    assert len(host.started) == 4


async def test_a_host_that_fails_to_start_a_qemu_is_no_skip(tmp_path: Path) -> None:
    class BrokenHost(FakeHost):
        async def start_qemu(self, *_: object, **__: object) -> FakeQemu:
            raise InfraError("the lab stalled")

    result = await run_plan(BrokenHost(), PLAN, Accel.KVM, tmp_path)
    assert result.failed
    assert result.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("kills", [1, 2])
async def test_a_first_qemu_that_somebody_kills_is_no_end_of_its_cell(
    kills: int, tmp_path: Path
) -> None:
    killed = 0

    def kill(qemu: FakeQemu) -> None:
        nonlocal killed
        if killed < kills:
            killed += 1
            qemu.end(ProcessExit(-9, ""))

    plan = build_plan(
        {"axes": {"accel": "kvm", "period_ms": 100}, "limits": {"trials": 3, "rule_out": 0.7}},
        "test",
    )
    host = FakeHost(Script(on_command={"query-cpus-fast": kill}))
    (cell,) = (await run_plan(host, plan, Accel.KVM, tmp_path)).cells
    assert killed == kills
    assert cell.verdict is Verdict.CLEAN, cell.why

"""A QEMU that does not answer as it starts: because its host is busy, or by itself."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.plan.load import build_plan
from orchestrator.results.exit_code import ExitCode, result_exit
from orchestrator.testing import FakeHost, FakeQemu, Script, immediate
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm import qemu as qemu_module
from orchestrator.vm.config import Accel, InstanceConfig

PLAN = build_plan(
    {
        "seed": 3, "axes": {"accel": "kvm", "period_ms": 100, "method": "exec"},
        "limits": {"trials": 4, "rule_out": 0.6},
    },
    "test",
)  # fmt: skip

#: The first QEMU that does not answer: one that tries the machine, one of a control, one of the
#: trials, and one that loads.
FROM = {"tryout": 1, "control": 2, "load": 3, "trial": 4}


class Mute(FakeHost):
    """A host whose QEMUs, from the Nth on, do not answer a command of their start."""

    def __init__(self, command: str, first: int, *, starved: bool) -> None:
        super().__init__(Script(immediate, {command: self.never_answers}))
        self.first, self.starved = first, starved
        self.mute: list[FakeQemu] = []

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> FakeQemu:
        qemu = await super().start_qemu(args, files, consoles=consoles)
        if len(self.started) >= self.first:
            self.mute.append(qemu)
        return qemu

    async def never_answers(self, qemu: FakeQemu) -> None:
        if qemu in self.mute:
            qemu.frozen = qemu.running = self.starved
            await qemu.clock.sleep(3_600_000_000_000)


async def start(host: FakeHost) -> None:
    async with qemu_module.starting(host, InstanceConfig(Accel.KVM)):
        pytest.fail("it does not answer")


async def test_a_qemu_is_killed_though_nobody_waits_to_hear_why_it_was_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host, asked = Mute("qmp_capabilities", 1, starved=True), asyncio.Event()

    async def asks_for_ever(process: object, passed_ns: int) -> str:
        asked.set()
        return await asyncio.Future()

    monkeypatch.setattr(qemu_module, "why_waited", asks_for_ever)
    starting = asyncio.create_task(start(host))
    await asked.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert all(qemu.ended for qemu in host.started)


@pytest.mark.parametrize("first", FROM.values(), ids=FROM)
@pytest.mark.parametrize("command", ["qmp_capabilities", "query-cpus-fast"])
async def test_a_qemu_that_gets_no_cpu_is_told_from_one_that_is_stuck(
    tmp_path: Path, command: str, first: int
) -> None:
    for starved in (True, False):
        host = Mute(command, first, starved=starved)
        out = tmp_path / str(starved)
        out.mkdir()
        result = await run_plan(host, PLAN, Accel.KVM, out)
        assert host.mute
        assert result.verdict is Verdict.INCONCLUSIVE
        (cell,) = result.cells
        assert "less busy" in cell.why
        said = "QEMU's threads waited 10.0 s for a CPU in the 10.0 s since its start" in cell.why
        assert said is starved, cell.why
        code = result_exit(result.ends, None)
        assert code is (ExitCode.INCONCLUSIVE if starved else ExitCode.HARNESS), cell.why

"""A guest that never stops printing ends no wait later than a silent one would."""

import asyncio
import socket
from collections.abc import Callable
from copy import copy
from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.guest import TickFirmware
from orchestrator.guest.tick.lines import render
from orchestrator.plan.load import build_plan
from orchestrator.testing import FakeHost, FakeQemu, FakeVcpu, Script, immediate
from orchestrator.testing.clock import FakeClock
from orchestrator.trial.watch import MOST_OTHERS
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.console import MOST_LINES, Console
from orchestrator.vm.launch import launch

SECOND_NS = 1_000_000_000

#: Virtual time between two lines of a flood: far shorter than any wait.
EVERY_NS = 2_000_000

#: Seconds of virtual time after which a test fails: far longer than any wait, and not for ever.
PATIENCE_S = 30

#: Lines that nobody waits for after a load.
FLOODS: dict[str, Callable[[FakeQemu], bytes]] = {
    "testimonies": lambda qemu: copy(qemu.vcpus[0]).testify(qemu.config),  # no NMI: none re-arms
    "openings of a control": lambda qemu: render("C", 6, 1000),
    "readiness": lambda qemu: render("R", 0, 20_000_000),
    "refusals": lambda qemu: render("B", 6),
    "ticks of another vCPU": lambda qemu: render("T", 9, 500, 0, 1000, 10, 10, vcpu=1),
    "noise": lambda qemu: b"kernel: hello\n",
    "garbled ticks": lambda qemu: render("T", 9, 500, 0, 1000, 10, 10)[:-2] + b"0\n",
    "old ticks": lambda qemu: render("T", 1, 500, 0, 1000, 10, 2),
}


def flood(qemu: FakeQemu, line: Callable[[FakeQemu], bytes]) -> None:
    """Print lines of one kind for as long as this QEMU lives."""

    def say() -> None:
        if not qemu.ended:
            qemu.say(line(qemu))
            qemu.clock.call_later(EVERY_NS, say)

    say()


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_guest_that_floods_its_console_after_a_load(tmp_path: Path, kind: str) -> None:
    """Each of its trials ends, and none is taken for a tick."""

    def lose_and_flood(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if not qemu.config.control_tick:
            vcpu.due_ns = None
            vcpu.mute = kind == "old ticks"
            flood(qemu, FLOODS[kind])

    host = FakeHost(Script(lose_and_flood))
    plan = build_plan(
        {"axes": {"period_ms": 20}, "limits": {"trials": 2, "rule_out": 0.9}, "controls": 1}, "test"
    )
    async with asyncio.timeout(PATIENCE_S):
        result = await run_plan(host, plan, Accel.KVM, tmp_path)
    (cell,) = result.cells
    assert cell.counts.trials == 2, cell.why
    assert set(cell.counts.outcomes) <= {Outcome.LOST, Outcome.UNKNOWN, Outcome.NOT_LOADED}
    assert cell.verdict is not Verdict.CLEAN


@pytest.mark.parametrize("kind", [kind for kind in FLOODS if kind != "old ticks"])
async def test_a_guest_that_floods_its_console_from_its_start(tmp_path: Path, kind: str) -> None:
    """It never ticks: no instance of it runs a trial, and the cell is given up."""

    def never_ticks(qemu: FakeQemu) -> None:
        if not getattr(qemu, "floods", False):
            qemu.floods = True  # type: ignore[attr-defined]
            qemu.vcpus[0].due_ns = None
            qemu.clock.call_later(1, lambda: flood(qemu, FLOODS[kind]))

    host = FakeHost(Script(immediate, {"query-cpus-fast": never_ticks}))
    plan = build_plan({"axes": {"period_ms": 20}, "limits": {"trials": 2}}, "test")
    async with asyncio.timeout(PATIENCE_S):
        result = await run_plan(host, plan, Accel.KVM, tmp_path)
    assert result.verdict in (Verdict.INCONCLUSIVE, Verdict.SKIPPED)
    assert result.cells[0].counts.trials == 0


@pytest.mark.parametrize("kind", ["noise", "readiness", "ticks of another vCPU"])
async def test_a_tick_is_waited_for_as_long_as_was_asked(kind: str) -> None:
    config = InstanceConfig(Accel.KVM, GuestConfig(period_ns=100_000_000))
    host = FakeHost()
    async with asyncio.timeout(PATIENCE_S), launch(host, config) as instance:
        (qemu,) = host.started
        qemu.vcpus[0].due_ns = None
        flood(qemu, FLOODS[kind])
        began_ns = host.clock.now_ns()
        assert await instance.next_tick(2 * SECOND_NS) is None
        assert 2 * SECOND_NS <= host.clock.now_ns() - began_ns <= 4 * SECOND_NS


async def test_lines_of_another_vcpu_that_are_kept_are_bounded() -> None:
    ours, theirs = socket.socketpair()
    console = Console([ours], FakeClock(), TickFirmware())
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    line = render("T", 9, 500, 0, 1000, 10, 10, vcpu=1)
    with ours, theirs:
        sending = asyncio.create_task(loop.sock_sendall(theirs, line * (MOST_LINES // 100)))
        assert await console.next_line(SECOND_NS, 0) is None
        await sending
        kept = console._put_aside[1]
        assert 0 < len(kept) <= MOST_LINES
        assert kept.maxlen == MOST_LINES
        await console.close()
    assert MOST_OTHERS < MOST_LINES

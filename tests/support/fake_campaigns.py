"""A campaign of one cell on the fake host."""

from pathlib import Path

from orchestrator.campaign.run import run_plan
from orchestrator.plan.load import build_plan
from orchestrator.verdict.run import RunResult
from orchestrator.vm.config import Accel
from tests.fake.host import (
    FACTS,
    FakeHost,
    FakeQemu,
    Guest,
    Script,
    immediate,
)

PERIOD_MS = 100


async def campaign(
    tmp_path: Path, script: Script, trials: int = 5, **axes: object
) -> tuple[RunResult, FakeHost]:
    host = FakeHost(script)
    plan = build_plan(
        {
            "seed": 1,
            "axes": {"accel": "kvm", "period_ms": PERIOD_MS, **axes},
            "limits": {"trials": trials, "rule_out": 0.5},
        },
        "test",
    )
    result = await run_plan(host, FACTS, plan, Accel.KVM, tmp_path)
    assert all(qemu._exit.done() for qemu in host.started)
    return result, host


def only_ordinary(break_it: object) -> Script:
    """A script that breaks loads of ordinary saves and leaves the control alone."""

    def on_load(qemu: FakeQemu, guest: Guest, number: int) -> None:
        if qemu.config.control_tick:
            immediate(qemu, guest, number)
        else:
            break_it(qemu, guest, number)  # type: ignore[operator]

    return Script(on_load)

"""A campaign of one cell on the fake host."""

from pathlib import Path

from orchestrator.campaign.run import run_plan
from orchestrator.host.facts import HostFacts
from orchestrator.plan.load import build_plan
from orchestrator.testing import FACTS, FakeHost, Script, only_in_trials
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.run import RunResult
from orchestrator.vm.config import Accel

PERIOD_MS = 100


async def campaign(
    tmp_path: Path, script: Script, trials: int = 5, *, facts: HostFacts = FACTS, **axes: object
) -> tuple[RunResult, FakeHost]:
    host = FakeHost(script, facts)
    plan = build_plan(
        {
            "seed": 1,
            "axes": {"accel": "kvm", "period_ms": PERIOD_MS, **axes},
            "limits": {"trials": trials, "rule_out": 0.5},
        },
        "test",
    )
    result = await run_plan(host, plan, Accel.KVM, tmp_path)
    assert all(qemu.ended for qemu in host.started)
    return result, host


def only_ordinary(behaviour: Behaviour) -> Script:
    """Return a script that breaks loads of ordinary saves and leaves the controls alone."""
    return Script(only_in_trials(behaviour))

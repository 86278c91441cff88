"""A fake host and virtual time, for tests of code that uses losttick.

The fake host runs no QEMU. Its QEMUs are scripts with a monitor, a console and a ticking
guest, so that a test can have any outcome: here, a guest that loses its timer interrupt at
every load. In virtual time the campaign takes a fraction of a second.

    >>> import asyncio
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from orchestrator import Accel, Plan, run_plan
    >>> from orchestrator.testing import FakeHost, Script, VirtualTimeLoop
    >>> from orchestrator.testing import lost, only_in_trials
    >>> async def main(out: str) -> None:
    ...     host = FakeHost(Script(only_in_trials(lost)))
    ...     plan = Plan.model_validate({"limits": {"trials": 3, "rule_out": 0.7}})
    ...     result = await run_plan(host, plan, Accel.KVM, Path(out))
    ...     print(result.verdict, len(host.started), "QEMUs")
    >>> with (
    ...     TemporaryDirectory() as out,
    ...     asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
    ... ):
    ...     runner.run(main(out))
    affected 7 QEMUs
"""

from orchestrator.testing.clock import SPEED, FakeClock
from orchestrator.testing.host import FACTS, FakeHost
from orchestrator.testing.qemu import FakeQemu
from orchestrator.testing.script import (
    Script,
    full_period,
    immediate,
    lost,
    only_in_trials,
    remaining,
)
from orchestrator.testing.vcpu import FakeVcpu
from orchestrator.testing.virtual_time import VirtualTimeLoop

__all__ = [
    "FACTS",
    "SPEED",
    "FakeClock",
    "FakeHost",
    "FakeQemu",
    "FakeVcpu",
    "Script",
    "VirtualTimeLoop",
    "full_period",
    "immediate",
    "lost",
    "only_in_trials",
    "remaining",
]

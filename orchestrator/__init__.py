"""losttick: does this host lose LAPIC timer interrupts when a snapshot is loaded?

The names that a test of your own needs (`docs/api.md` shows them at work) are
loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.campaign.run import run_plan as run_plan
    from orchestrator.findings.outcome import Outcome as Outcome
    from orchestrator.guest.config import GuestConfig as GuestConfig
    from orchestrator.host.local import open_host as open_host
    from orchestrator.plan.plan import Plan as Plan
    from orchestrator.verdict.verdict import Verdict as Verdict
    from orchestrator.vm.config import Accel as Accel
    from orchestrator.vm.config import InstanceConfig as InstanceConfig
    from orchestrator.vm.instance import Instance as Instance
    from orchestrator.vm.launch import launch as launch

from orchestrator.version import __version__

_HOMES = {
    "Accel": "vm.config",
    "GuestConfig": "guest.config",
    "Instance": "vm.instance",
    "InstanceConfig": "vm.config",
    "Outcome": "findings.outcome",
    "Plan": "plan.plan",
    "Verdict": "verdict.verdict",
    "launch": "vm.launch",
    "open_host": "host.local",
    "run_plan": "campaign.run",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

"""losttick: does this host lose LAPIC timer interrupts when a snapshot is loaded?

The names that a test of your own needs (`docs/api.md` shows them at work) are
loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.campaign.run import run_plan as run_plan
    from orchestrator.campaign.verdict import Verdict as Verdict
    from orchestrator.guest.firmware import GuestConfig as GuestConfig
    from orchestrator.host.local import LocalHost as LocalHost
    from orchestrator.plan.model import Plan as Plan
    from orchestrator.trial.outcome import Outcome as Outcome
    from orchestrator.vm.argv import Accel as Accel
    from orchestrator.vm.argv import MachineConfig as MachineConfig
    from orchestrator.vm.machine import Machine as Machine
    from orchestrator.vm.probe import probe_qemu as probe_qemu

__version__ = "0.1.0"

_HOMES = {
    "Accel": "vm.argv",
    "GuestConfig": "guest.firmware",
    "LocalHost": "host.local",
    "Machine": "vm.machine",
    "MachineConfig": "vm.argv",
    "Outcome": "trial.outcome",
    "Plan": "plan.model",
    "Verdict": "campaign.verdict",
    "probe_qemu": "vm.probe",
    "run_plan": "campaign.run",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

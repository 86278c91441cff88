"""losttick: does this host lose LAPIC timer interrupts when a snapshot is loaded?

The names below are the public API (`docs/api.md` shows them at work). Each of them is
loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.campaign.check import check as check
    from orchestrator.campaign.resume import ResumeError as ResumeError
    from orchestrator.campaign.resume import read_run as read_run
    from orchestrator.campaign.run import run_plan as run_plan
    from orchestrator.clock import Deadlines as Deadlines
    from orchestrator.errors import InfraError as InfraError
    from orchestrator.errors import InputError as InputError
    from orchestrator.errors import LosttickError as LosttickError
    from orchestrator.errors import UnfitError as UnfitError
    from orchestrator.findings.cause import Cause as Cause
    from orchestrator.findings.outcome import Outcome as Outcome
    from orchestrator.guest.config import GuestConfig as GuestConfig
    from orchestrator.guest.lines import Tick as Tick
    from orchestrator.host.errors import NoAttachError as NoAttachError
    from orchestrator.host.errors import NoQemuError as NoQemuError
    from orchestrator.host.errors import NotOwnedError as NotOwnedError
    from orchestrator.host.errors import NotQemuError as NotQemuError
    from orchestrator.host.errors import QemuSocketError as QemuSocketError
    from orchestrator.host.errors import QemuStartError as QemuStartError
    from orchestrator.host.facts import HostFacts as HostFacts
    from orchestrator.host.facts import QemuFacts as QemuFacts
    from orchestrator.host.local import open_host as open_host
    from orchestrator.host.protocol import Host as Host
    from orchestrator.host.qemus import LocalQemus as LocalQemus
    from orchestrator.journal.file import JournalError as JournalError
    from orchestrator.journal.file import JournalFormatError as JournalFormatError
    from orchestrator.plan.faults import PlanError as PlanError
    from orchestrator.plan.load import load_plan as load_plan
    from orchestrator.plan.plan import Plan as Plan
    from orchestrator.qmp.errors import CommandFailedError as CommandFailedError
    from orchestrator.qmp.errors import MonitorClosedError as MonitorClosedError
    from orchestrator.qmp.errors import MonitorError as MonitorError
    from orchestrator.qmp.errors import MonitorTimeoutError as MonitorTimeoutError
    from orchestrator.results.result import read_result as read_result
    from orchestrator.snapshot.method import Method as Method
    from orchestrator.snapshot.state import load_state as load_state
    from orchestrator.snapshot.state import save_state as save_state
    from orchestrator.snapshot.table import MethodMissingError as MethodMissingError
    from orchestrator.verdict.run import CellResult as CellResult
    from orchestrator.verdict.run import RunResult as RunResult
    from orchestrator.verdict.verdict import Verdict as Verdict
    from orchestrator.vm.attach import attach as attach
    from orchestrator.vm.config import Accel as Accel
    from orchestrator.vm.config import InstanceConfig as InstanceConfig
    from orchestrator.vm.instance import Instance as Instance
    from orchestrator.vm.instance import NeedsDiskError as NeedsDiskError
    from orchestrator.vm.instance import NeedsSpawnError as NeedsSpawnError
    from orchestrator.vm.launch import GuestStartError as GuestStartError
    from orchestrator.vm.launch import launch as launch
    from orchestrator.vm.port import ConsoleClosedError as ConsoleClosedError

from orchestrator.version import __version__

#: The module of each public name.
_HOMES = {
    "Accel": "vm.config",
    "Cause": "findings.cause",
    "CellResult": "verdict.run",
    "CommandFailedError": "qmp.errors",
    "ConsoleClosedError": "vm.port",
    "Deadlines": "clock",
    "GuestConfig": "guest.config",
    "GuestStartError": "vm.launch",
    "Host": "host.protocol",
    "HostFacts": "host.facts",
    "InfraError": "errors",
    "InputError": "errors",
    "Instance": "vm.instance",
    "InstanceConfig": "vm.config",
    "JournalError": "journal.file",
    "JournalFormatError": "journal.file",
    "LocalQemus": "host.qemus",
    "LosttickError": "errors",
    "Method": "snapshot.method",
    "MethodMissingError": "snapshot.table",
    "MonitorClosedError": "qmp.errors",
    "MonitorError": "qmp.errors",
    "MonitorTimeoutError": "qmp.errors",
    "NeedsDiskError": "vm.instance",
    "NeedsSpawnError": "vm.instance",
    "NoAttachError": "host.errors",
    "NoQemuError": "host.errors",
    "NotOwnedError": "host.errors",
    "NotQemuError": "host.errors",
    "Outcome": "findings.outcome",
    "Plan": "plan.plan",
    "PlanError": "plan.faults",
    "QemuFacts": "host.facts",
    "QemuSocketError": "host.errors",
    "QemuStartError": "host.errors",
    "ResumeError": "campaign.resume",
    "RunResult": "verdict.run",
    "Tick": "guest.lines",
    "UnfitError": "errors",
    "Verdict": "verdict.verdict",
    "attach": "vm.attach",
    "check": "campaign.check",
    "launch": "vm.launch",
    "load_plan": "plan.load",
    "load_state": "snapshot.state",
    "open_host": "host.local",
    "read_result": "results.result",
    "read_run": "campaign.resume",
    "run_plan": "campaign.run",
    "save_state": "snapshot.state",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

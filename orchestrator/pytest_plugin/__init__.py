"""The pytest plugin: fixtures that test this host, and that give virtual machines to tests.

The names below are the types of the fixtures and of their errors (`docs/pytest.md` shows them
at work). Each of them is loaded when it is first used: pytest imports `plugin` in every
session.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.pytest_plugin.errors import AffectedError as AffectedError
    from orchestrator.pytest_plugin.errors import AnomalousError as AnomalousError
    from orchestrator.pytest_plugin.errors import InconclusiveError as InconclusiveError
    from orchestrator.pytest_plugin.errors import TicksError as TicksError
    from orchestrator.pytest_plugin.machines import AsyncMachines as AsyncMachines
    from orchestrator.pytest_plugin.machines import Machine as Machine
    from orchestrator.pytest_plugin.machines import Machines as Machines
    from orchestrator.pytest_plugin.survive import AsyncTicksSurvive as AsyncTicksSurvive
    from orchestrator.pytest_plugin.survive import TicksSurvive as TicksSurvive

#: The module of each name.
_HOMES = {
    "AffectedError": "errors",
    "AnomalousError": "errors",
    "AsyncMachines": "machines",
    "AsyncTicksSurvive": "survive",
    "InconclusiveError": "errors",
    "Machine": "machines",
    "Machines": "machines",
    "TicksError": "errors",
    "TicksSurvive": "survive",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

"""The public API: which names it has, and that each is loaded only when it is used."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator

#: Every public name. A change here is a change that users see.
NAMES = [
    "Accel",
    "Cause",
    "CellResult",
    "CommandFailedError",
    "ConsoleClosedError",
    "Deadlines",
    "GuestConfig",
    "GuestStartError",
    "Host",
    "HostFacts",
    "InfraError",
    "InputError",
    "Instance",
    "InstanceConfig",
    "JournalError",
    "JournalFormatError",
    "LocalQemus",
    "LosttickError",
    "Method",
    "MethodMissingError",
    "MonitorClosedError",
    "MonitorError",
    "MonitorTimeoutError",
    "NeedsDiskError",
    "NeedsSpawnError",
    "NoAttachError",
    "NoQemuError",
    "NotOwnedError",
    "NotQemuError",
    "Outcome",
    "Plan",
    "PlanError",
    "QemuFacts",
    "QemuSocketError",
    "QemuStartError",
    "ResumeError",
    "RunResult",
    "Tick",
    "UnfitError",
    "Verdict",
    "__version__",
    "attach",
    "check",
    "launch",
    "load_plan",
    "load_state",
    "open_host",
    "read_result",
    "read_run",
    "run_plan",
    "save_state",
]

#: What takes long to import: none of it may come with the package itself.
HEAVY = ("asyncio", "pydantic", "pexpect", "qemu", "typer", "rich")

PACKAGE = Path(orchestrator.__file__).parent


def test_the_names_are_these_and_no_others() -> None:
    assert sorted(orchestrator.__all__) == sorted(NAMES)
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        _ = orchestrator.nonesuch


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_a_name_is_there_documented_and_its_own(name: str) -> None:
    value = getattr(orchestrator, name)
    assert value.__name__ == name
    assert inspect.getdoc(value)
    home = sys.modules[f"orchestrator.{orchestrator._HOMES[name]}"]
    assert getattr(home, name) is value


def test_a_type_checker_sees_the_same_names_in_the_same_modules() -> None:
    (guarded,) = (
        node for node in ast.parse((PACKAGE / "__init__.py").read_text()).body
        if isinstance(node, ast.If)
    )  # fmt: skip
    seen = {
        alias.asname: str(node.module).removeprefix("orchestrator.")
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == orchestrator._HOMES


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, orchestrator; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_every_public_error_is_of_one_of_the_families() -> None:
    errors = [getattr(orchestrator, name) for name in NAMES if name.endswith("Error")]
    families = (orchestrator.InputError, orchestrator.UnfitError, orchestrator.InfraError)
    for error in errors:
        assert issubclass(error, families) or error is orchestrator.LosttickError


def test_the_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()

"""Finds, reads and checks fleet files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from orchestrator.errors import InputError
from orchestrator.fleet.fleet_file import Constraint, FleetFile, Host, Kernel, Slurm, Ssh
from orchestrator.plan.fault_words import Wording, fault_sentences
from orchestrator.plan.load import build_plan
from orchestrator.plan.names import SHIPPED, shipped_plans
from orchestrator.plan.plan import Plan
from orchestrator.plan.toml_file import TomlError, read_toml

_WORDING = Wording(
    "fleet file",
    [
        name
        for table in (FleetFile, Host, Kernel, Constraint, Slurm, Ssh)
        for name in table.model_fields
    ],
    "[kernels.NAME], [[hosts]], [[constraints]], [slurm] and [ssh], and outside of them engine, "
    "plan, labels, history and out",
)


class FleetFileError(InputError):
    """A fleet file can't be used. The message lists its faults, each with its place."""

    def __init__(self, source: Path, faults: Sequence[str]) -> None:
        """Build the message.

        Args:
            source: the file.
            faults: a sentence for each fault.
        """
        self.faults = tuple(faults)
        listed = "\n".join(f"  {fault}" for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"reading the fleet file {source}: {count}\n{listed}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A fleet file and its plan, both checked, and as they were written."""

    fleet: FleetFile
    text: str
    plan: Plan
    plan_text: str
    base: Path
    """The folder from which relative paths in the fleet file count, as an absolute path."""

    @property
    def history(self) -> str | None:
        """The history of the fleet, as `--db` takes it; None for the default one."""
        named = self.fleet.history
        return named if named is None or "://" in named else str(self.base / named)


def load_fleet(path: Path) -> Loaded:
    """Read a fleet file and the plan that it names.

    Raises:
        FleetFileError: the file can't be read, or is not a fleet file.
        PlanError: the plan is not one.
    """
    return read_fleet(path, path.absolute().parent)


def read_fleet(path: Path, base: Path, plan: Path | None = None) -> Loaded:
    """Read a fleet file.

    Args:
        path: of the file.
        base: the folder from which relative paths in the file count.
        plan: the plan; by default the one that the file names.

    Raises:
        FleetFileError: the file can't be read, or is not a fleet file.
        PlanError: the plan is not one.
    """
    try:
        data, text = read_toml(path)
    except TomlError as error:
        raise FleetFileError(path, [str(error)]) from error
    try:
        fleet = FleetFile.model_validate(data)
    except ValidationError as error:
        raise FleetFileError(path, fault_sentences(error, text, _WORDING)) from None
    shipped = SHIPPED / f"{fleet.plan}.toml" if fleet.plan in shipped_plans() else None
    where = plan or shipped or base / fleet.plan
    try:
        of_plan, plan_text = read_toml(where)
    except TomlError as error:
        names = ", ".join(shipped_plans())
        raise FleetFileError(
            path, [f"plan: {fleet.plan}: {error}. It is a path, or one of {names}"]
        ) from error
    return Loaded(fleet, text, build_plan(of_plan, str(where), plan_text), plan_text, base)


def schema_text() -> str:
    """Return the text of `docs/fleet.schema.json`, the JSON Schema of fleet files."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **FleetFile.model_json_schema(),
        "title": "A losttick fleet",
    }
    return json.dumps(schema, indent=2) + "\n"

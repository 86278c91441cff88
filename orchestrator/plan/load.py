"""Finds, reads and checks plans."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.plan.faults import PlanError, plan_error
from orchestrator.plan.names import SHIPPED, shipped_plans
from orchestrator.plan.plan import Plan
from orchestrator.plan.toml_file import MOST_BYTES as MOST_BYTES
from orchestrator.plan.toml_file import TomlError, read_toml


def load_plan(wanted: str, overrides: Mapping[str, Any]) -> Plan:
    """Read a plan and apply the options of the command line to it.

    Args:
        wanted: the name of a shipped plan, or the path of a TOML file.
        overrides: nested like the file, as `merge` takes it. Its axes also replace those of
            `include` tables, and the plan accepts no skips for them.

    Raises:
        PlanError: the file can't be read, or is not a plan.
    """
    path = SHIPPED / f"{wanted}.toml" if wanted in shipped_plans() else Path(wanted)
    data, text = _read(path, wanted)
    merged = merge(data, overrides)
    included = merged.get("include")
    if isinstance(included, list):
        axes = overrides.get("axes", {})
        merged["include"] = [
            merge(table, axes) if isinstance(table, dict) else table for table in included
        ]
    plan = build_plan(merged, wanted, text)
    given = {name for name, value in overrides.get("axes", {}).items() if value is not None}
    accepted = [lack for lack in plan.accept_skips if lack not in given]
    return plan.model_copy(update={"accept_skips": accepted})


def _read(path: Path, wanted: str) -> tuple[dict[str, Any], str]:
    """Return the data and the text of a plan file.

    Raises:
        PlanError: the file can't be read, or is not TOML.
    """
    try:
        return read_toml(path)
    except TomlError as error:
        reason = str(error)
        if isinstance(error.__cause__, FileNotFoundError):
            reason = f"{reason}, nor a shipped plan of that name ({', '.join(shipped_plans())})"
        raise PlanError(wanted, [reason]) from error


def build_plan(data: Mapping[str, Any], source: str, text: str = "") -> Plan:
    """Check a plan's data.

    Args:
        data: nested like the file.
        source: name of the plan in error messages.
        text: the TOML text that the data came from, used to find line numbers.

    Raises:
        PlanError: the data has faults; the error lists all of them.
    """
    try:
        return Plan.model_validate(data)
    except ValidationError as error:
        raise plan_error(source, error, text) from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` updated, at every level, with the values of `over` that are not None."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping):
            if below is None or isinstance(below, Mapping):
                merged[key] = merge(below or {}, value)
        elif value is not None:
            merged[key] = value
    return merged

"""Finds, reads and checks plans."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.plan.faults import PlanError, line_of_deepest, plan_error
from orchestrator.plan.names import SHIPPED, shipped_plans
from orchestrator.plan.plan import Plan

#: Largest plan file, in bytes. 10,000 tables of a plan take less than a tenth of it.
MOST_BYTES = 16 << 20


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
        with path.open("rb") as file:
            read = file.read(MOST_BYTES + 1)
        if len(read) > MOST_BYTES:
            raise PlanError(wanted, [f"it has more than {MOST_BYTES >> 20} MiB"])
        text = read.decode()
    except OSError as error:
        reason = str(error.strerror)
        if isinstance(error, FileNotFoundError):
            reason = f"{reason}, nor a shipped plan of that name ({', '.join(shipped_plans())})"
        raise PlanError(wanted, [reason]) from error
    except UnicodeDecodeError as error:
        line = read.count(b"\n", 0, error.start) + 1
        raise PlanError(wanted, [f"line {line}: it is not UTF-8 text"]) from error
    except ValueError as error:  # a name that no file can have
        raise PlanError(wanted, [str(error)]) from error
    try:
        return tomllib.loads(text), text
    except RecursionError as error:
        fault = f"line {line_of_deepest(text)}: values are nested too deeply"
        raise PlanError(wanted, [fault]) from error
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        raise PlanError(wanted, [f"not TOML: {error}"]) from error


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

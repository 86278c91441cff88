"""Finds and reads plans, and names every fault in one with its place."""

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import InputError
from orchestrator.plan.axes import Axes
from orchestrator.plan.goals import PlanLimits
from orchestrator.plan.names import SHIPPED, shipped_plans
from orchestrator.plan.plan import Plan

#: What a plan is called that comes from options alone.
COMMAND_LINE = "command line"

#: Options that are not called as their settings are.
_OPTIONS = {"period_ms": "period", "memory_mib": "memory", "limits": "rule_out"}


_SETTINGS = [*Plan.model_fields, *PlanLimits.model_fields, *Axes.model_fields]
_TABLES = (
    "[axes], [[exclude]], [[include]] and [limits], and outside of them seed, require, controls"
)


class PlanError(InputError):
    """A plan can't be used: all of its faults, each with its place."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        shown = "\n".join(f"  {fault}" for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        what = source if source == COMMAND_LINE else f"plan {source}"
        super().__init__(f"reading the {what}: {count}\n{shown}")


def load_plan(wanted: str, overrides: Mapping[str, Any]) -> Plan:
    """Read a plan and put what the command line said over it.

    Args:
        wanted: the name of a shipped plan, or else the path of a TOML file.
        overrides: nested like the file; as `merge` takes it. Its axes hold for the cells of
            `include` tables, too.

    Raises:
        PlanError: it can't be read, or is not a plan.
    """
    path = SHIPPED / f"{wanted}.toml" if wanted in shipped_plans() else Path(wanted)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        if isinstance(error, FileNotFoundError):
            reason = f"{reason}, nor a shipped plan of that name ({', '.join(shipped_plans())})"
        raise PlanError(wanted, [str(reason)]) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(wanted, [f"not TOML: {error}"]) from error
    merged = merge(data, overrides)
    included = merged.get("include")
    if isinstance(included, list):
        axes = overrides.get("axes", {})
        merged["include"] = [
            merge(table, axes) if isinstance(table, dict) else table for table in included
        ]
    return build_plan(merged, wanted, text)


def build_plan(data: Mapping[str, Any], source: str, text: str = "") -> Plan:
    """Check a plan's data.

    Args:
        data: nested like the file.
        source: what to call it in an error.
        text: the TOML that it was read from, to name lines.

    Raises:
        PlanError: with every fault.
    """
    try:
        return Plan.model_validate(data)
    except ValidationError as error:
        faults = [
            _fault(source, tuple(fault["loc"]), fault["msg"], fault.get("input"), text)
            for fault in error.errors()
        ]
        raise PlanError(source, faults) from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over` that are not None put over it."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping):
            if below is None or isinstance(below, Mapping):
                merged[key] = merge(below or {}, value)
        elif value is not None:
            merged[key] = value
    return merged


def _fault(
    source: str, place: tuple[int | str, ...], message: str, given: object, text: str
) -> str:
    names = [part for part in place if isinstance(part, str)]
    shown = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place)
    line = _line_of(place, text)
    where = f"line {line}, " if line else ""
    if source == COMMAND_LINE and names:
        option = _OPTIONS.get(names[-1], names[-1])
        shown = "--" + option.replace("_", "-")
    message = message.removeprefix("Value error, ").replace(
        "Extra inputs are not permitted", "there is no such setting"
    )
    if message.endswith("no such setting") and names:
        close = difflib.get_close_matches(names[-1], _SETTINGS, n=1)
        message += f": did you mean {close[0]}?" if close else f". There are {_TABLES}"
    value = "" if isinstance(given, dict | list) else f" (given: {given!r})"
    return f"{where}{shown.lstrip('.') or 'plan'}: {message}{value}"


def _line_of(place: tuple[int | str, ...], text: str) -> int | None:
    """Return the line on which a setting or its table stands."""
    wanted = list(place)
    while wanted and isinstance(wanted[-1], int):  # which value of a list
        wanted.pop()
    table: list[int | str] = []
    seen: Counter[str] = Counter()
    best = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[+)\s*([\w.\- ]+?)\s*\]+", line):
            table = [part.strip() for part in header[2].split(".")]
            if header[1] == "[[":
                table.append(seen[header[2]])
                seen[header[2]] += 1
            found = table[: len(place)]
        elif key := re.match(r"\s*([\w.\-]+)\s*=", line):
            found = [*table, *key[1].split(".")]
        else:
            continue
        if found and found == list(place[: len(found)]):
            best = number
            if found == wanted:
                break
    return best

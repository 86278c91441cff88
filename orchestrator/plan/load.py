"""Finds and reads plans, and reports each fault in a plan with its line."""

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import InputError
from orchestrator.plan.axes import Axes
from orchestrator.plan.goals import Goals
from orchestrator.plan.names import SHIPPED, shipped_plans
from orchestrator.plan.plan import Plan

#: Source of a plan that was made from command-line options alone.
COMMAND_LINE = "command line"

#: Settings whose command-line option has another name.
_OPTIONS = {
    "period_ms": "period",
    "memory_mib": "memory",
    "resume": "resume_by",
    "qemu_args": "qemu_arg",
    "limits": "rule_out",
}


_SETTINGS = [*Plan.model_fields, *Goals.model_fields, *Axes.model_fields]
_TABLES = (
    "[axes], [[exclude]], [[include]] and [limits], and outside of them seed, require, "
    "accept_skips and controls"
)


class PlanError(InputError):
    """A plan can't be used. The message lists all of its faults, each with its place."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        shown = "\n".join(f"  {fault}" for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        what = source if source == COMMAND_LINE else f"plan {source}"
        super().__init__(f"reading the {what}: {count}\n{shown}")


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
    plan = build_plan(merged, wanted, text)
    given = {name for name, value in overrides.get("axes", {}).items() if value is not None}
    accepted = [lack for lack in plan.accept_skips if lack not in given]
    return plan.model_copy(update={"accept_skips": accepted})


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
        raise PlanError(source, [_fault(source, each, text) for each in error.errors()]) from None


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


def _fault(source: str, found: ErrorDetails, text: str) -> str:
    """Return a sentence about one fault, with its place."""
    place = found["loc"]
    names = [part for part in place if isinstance(part, str)]
    shown = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place)
    line = _line_of(place, text)
    where = f"line {line}, " if line else ""
    if source == COMMAND_LINE and names:
        option = _OPTIONS.get(names[-1], names[-1])
        shown = "--" + option.replace("_", "-")
    given = found["input"]
    value = "" if isinstance(given, dict | list) else f" (given: {given!r})"
    return f"{where}{shown.lstrip('.') or 'plan'}: {_words(found, names)}{value}"


def _words(found: ErrorDetails, names: Sequence[str]) -> str:
    """Return what is wrong with a setting."""
    if found["type"] == "extra_forbidden":
        close = difflib.get_close_matches(names[-1], _SETTINGS, n=1)
        hint = f": did you mean {close[0]}?" if close else f". There are {_TABLES}"
        return "there is no such setting" + hint
    if found["type"] == "value_error":  # raised by losttick's own checks
        return str(found["ctx"]["error"])
    if found["type"] in ("int_type", "int_parsing", "int_from_float"):
        return "it must be a whole number, such as 300 or 1e6"
    if found["type"] in ("float_type", "float_parsing"):
        return "it must be a number, such as 0.01"
    if found["type"] in ("less_than_equal", "greater_than_equal"):
        (limit,) = found["ctx"].values()
        return f"it must be at {'most' if 'le' in found['ctx'] else 'least'} {limit:,}"
    return found["msg"]


def _line_of(place: tuple[int | str, ...], text: str) -> int | None:
    """Return the number of the line that holds a setting, or else of its table's header."""
    wanted = list(place)
    while wanted and isinstance(wanted[-1], int):  # the index in a list
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

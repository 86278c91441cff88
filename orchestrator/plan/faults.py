"""The faults of a plan as a person reads them, each with its place."""

import difflib
import re
import reprlib
from collections import Counter
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import InputError
from orchestrator.plan.axes import Axes
from orchestrator.plan.goals import Goals
from orchestrator.plan.plan import Plan

#: Source of a plan that was made from command-line options alone.
COMMAND_LINE = "command line"

#: Most faults of a plan that are listed.
MOST_FAULTS = 50

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

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80


class PlanError(InputError):
    """A plan can't be used. The message lists its faults, each with its place."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        """Build the message.

        Args:
            source: name of the plan.
            faults: a sentence for each fault.
        """
        self.faults = tuple(faults)
        shown = "\n".join(f"  {fault}" for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        what = source if source == COMMAND_LINE else f"plan {source}"
        super().__init__(f"reading the {what}: {count}\n{shown}")


def plan_error(source: str, error: ValidationError, text: str) -> PlanError:
    """Return the error of a plan that its model refused.

    Args:
        source: name of the plan.
        error: what the model found.
        text: the TOML text of the plan, used to find line numbers; empty if there is none.
    """
    found = error.errors()
    faults = [_fault(source, each, text) for each in found[:MOST_FAULTS]]
    if more := len(found) - MOST_FAULTS:
        faults += [f"and {more:,} more"] if more > 0 else []
    return PlanError(source, faults)


def shown(value: object) -> str:
    """Return a value for an error message. A long value is shortened."""
    try:
        return _short.repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"


def _fault(source: str, found: ErrorDetails, text: str) -> str:
    """Return a sentence about one fault, with its place."""
    place = found["loc"]
    names = [part for part in place if isinstance(part, str)]
    path = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{_cut(part)}" for part in place)
    line = _line_of(place, text)
    where = f"line {line}, " if line else ""
    if source == COMMAND_LINE and names:
        option = _OPTIONS.get(names[-1], names[-1])
        path = "--" + option.replace("_", "-")
    given = found["input"]
    value = "" if isinstance(given, dict | list) else f" (given: {shown(given)})"
    return f"{where}{path.lstrip('.') or 'plan'}: {_words(found, names)}{value}"


def _cut(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}…"


def _words(found: ErrorDetails, names: Sequence[str]) -> str:
    """Return what is wrong with a setting."""
    if found["type"] == "extra_forbidden":
        close = difflib.get_close_matches(names[-1][:80], _SETTINGS, n=1)
        hint = f": did you mean {close[0]}?" if close else f". There are {_TABLES}"
        return "there is no such setting" + hint
    if found["type"] == "value_error":  # raised by losttick's own checks
        return str(found["ctx"]["error"])
    if found["type"] in ("int_type", "int_parsing", "int_from_float"):
        return "it must be a whole number, such as 300 or 1e6"
    if found["type"] in ("float_type", "float_parsing", "finite_number"):
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
    for number, whole in enumerate(text.splitlines(), 1):
        # One space between words: the patterns need too long for a long row of spaces.
        line = " ".join(whole.split())
        header = re.match(r"(\[{1,2}) ?([\w.\- ]+?) ?(\]{1,2})(?: ?#|$)", line)
        if header and len(header[1]) == len(header[3]):
            table = [part.strip() for part in header[2].split(".")]
            if header[1] == "[[":
                table.append(seen[header[2]])
                seen[header[2]] += 1
            found = table[: len(place)]
        elif key := re.match(r"([\w.\-]+) ?=", line):
            found = [*table, *key[1].split(".")][: len(place)]
        else:
            continue
        if found and found == list(place[: len(found)]):
            best = number
            if found == wanted:
                break
    return best


def line_of_deepest(text: str) -> int:
    """Return the number of the line in which the brackets of a TOML text nest deepest.

    Brackets in strings and comments count as well, so the line is a hint.
    """
    depth = deepest = 0
    line = 1
    for number, row in enumerate(text.splitlines(), 1):
        for character in row:
            depth += (character in "[{") - (character in "]}")
            if depth > deepest:
                deepest, line = depth, number
    return line

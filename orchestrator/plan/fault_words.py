"""The faults of a TOML file as a person reads them, each with its place."""

import difflib
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.plan.strict import PlacedError

#: Most faults of a file that are listed.
MOST_FAULTS = 50

#: A part of a key: bare, or in quotes.
_PART = r"""(?:[\w\-]+|"[^"]*"|'[^']*')"""
_KEY = rf"{_PART}(?: ?\. ?{_PART})*"
_HEADER = re.compile(rf"(\[{{1,2}}) ?({_KEY}) ?(\]{{1,2}})(?: ?#|$)")
_SETTING = re.compile(rf"({_KEY}) ?=")
_PARTS = re.compile(_PART)

#: The beginning of most of pydantic's messages: "Input should be less than 1".
_MODEL_SAYS = re.compile(r"^\w+ should ")

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80


@dataclass(frozen=True, slots=True)
class Wording:
    """The words for faults of a kind of file."""

    whole: str
    """The kind of the file: names a fault that has no place in it."""
    settings: Sequence[str]
    """The names of all settings, for a hint at one that was meant."""
    tables: str
    """The settings of such a file, for who wrote something else."""


def fault_sentences(
    error: ValidationError, text: str, wording: Wording, option: Callable[[str], str] | None = None
) -> list[str]:
    """Return a sentence for each fault that a model found.

    Args:
        error: what the model found.
        text: the TOML text, used to find line numbers; empty if there is none.
        wording: how faults are named.
        option: returns the option that stands for a setting, if the values came from options.
    """
    found = [each for one in error.errors() for each in _placed(one)]
    faults = [_fault(each, text, wording, option) for each in found[:MOST_FAULTS]]
    if more := len(found) - MOST_FAULTS:
        faults += [f"and {more:,} more"] if more > 0 else []
    return faults


def _placed(found: ErrorDetails) -> Iterator[ErrorDetails]:
    """Yield each of the faults that a check of several settings found at once."""
    error = found.get("ctx", {}).get("error")
    if not isinstance(error, PlacedError):
        yield found
        return
    for place, words in error.faults:
        yield {**found, "loc": (*found["loc"], *place), "input": {}, "ctx": {"error": words}}


def shown(value: object) -> str:
    """Return a value for an error message. A long value is shortened."""
    try:
        return _short.repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"


def _fault(
    found: ErrorDetails, text: str, wording: Wording, option: Callable[[str], str] | None
) -> str:
    """Return a sentence about one fault, with its place."""
    place = found["loc"]
    names = [part for part in place if isinstance(part, str)]
    path = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{_cut(part)}" for part in place)
    line = _line_of(place, text)
    where = f"line {line}, " if line else ""
    if option and names:
        path = option(names[-1])
    given = found["input"]
    value = "" if isinstance(given, dict | list) else f" (given: {shown(given)})"
    return f"{where}{path.lstrip('.') or wording.whole}: {_words(found, names, wording)}{value}"


def _cut(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}…"


def _words(found: ErrorDetails, names: Sequence[str], wording: Wording) -> str:
    """Return what is wrong with a setting."""
    if found["type"] == "extra_forbidden":
        close = difflib.get_close_matches(names[-1][:80], wording.settings, n=1)
        hint = f": did you mean {close[0]}?" if close else f". There are {wording.tables}"
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
    if found["type"] in ("model_type", "dict_type", "dataclass_type"):
        return "it must be a table"
    return _MODEL_SAYS.sub("it must ", found["msg"]).replace(" after validation", "")


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
        header = _HEADER.match(line)
        if header and len(header[1]) == len(header[3]):
            table = _in_table(_parts(header[2]), seen, array=header[1] == "[[")
            found = table[: len(place)]
        elif key := _SETTING.match(line):
            found = [*table, *_parts(key[1])][: len(place)]
        else:
            continue
        if found and found == list(place[: len(found)]):
            best = number
            if found == wanted:
                break
    return best


def _parts(key: str) -> list[str]:
    return [part.strip("\"'") for part in _PARTS.findall(key)]


def _in_table(names: Sequence[str], seen: Counter[str], *, array: bool) -> list[int | str]:
    """Return the place of a table; count it if it is one of an array of tables."""
    place: list[int | str] = []
    for depth, name in enumerate(names, 1):
        place.append(name)
        path = ".".join(names[:depth])
        if depth == len(names) and array:
            place.append(seen[path])
            seen[path] += 1
        elif path in seen:
            place.append(seen[path] - 1)
    return place


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

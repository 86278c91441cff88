"""Python values as plain JSON data."""

import dataclasses
import enum
import json
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic_core import to_json

#: A character that a terminal could take for a command of its own, or show otherwise.
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def plain(value: Any) -> Any:
    """Return a value as plain JSON data: dataclasses as objects, enums as their values."""
    kind = type(value)
    if kind in _JSON:
        return value
    if names := _field_names(kind):  # type: ignore[arg-type]  # a type can be hashed
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Counter):
        return {plain(key): count for key, count in value.items() if count}
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    return value


def indented(value: Any) -> str:
    """Return plain JSON data as ASCII text with a line for each item, and a newline at the end.

    The standard library indents many times more slowly.
    """
    try:
        text = to_json(value, indent=2, inf_nan_mode="constants").decode()
    except ValueError:  # bytes of a file's name that are not UTF-8, or deeply nested data
        text = json.dumps(value, indent=2)
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text) + "\n"


#: Types that JSON has itself. Most values are of these types.
_JSON = frozenset({str, int, float, bool, type(None)})


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    """Return the names of a dataclass's fields; nothing for any other type."""
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return tuple(field.name for field in fields)

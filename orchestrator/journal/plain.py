"""Python values as plain JSON data."""

import dataclasses
import enum
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any


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


#: Types that JSON has itself. Most values are of these types.
_JSON = frozenset({str, int, float, bool, type(None)})


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    """Return the names of a dataclass's fields; nothing for any other type."""
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return tuple(field.name for field in fields)

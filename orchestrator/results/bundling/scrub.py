"""Makes the files of an output folder anonymous, so that they still can be read."""

import dataclasses
import enum
import json
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from orchestrator.guest.registry import GUESTS
from orchestrator.journal.line import LineError, decode
from orchestrator.journal.records import KINDS, PlanRecord
from orchestrator.plan.plan import Plan
from orchestrator.results.bundling.secrets import Secrets
from orchestrator.results.evidence import Seen
from orchestrator.timers.registry import TIMERS


class Scrubber:
    """Puts stand-ins for what is secret into the files of one output folder."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._ids: dict[str, str] = {}

    def text(self, content: bytes) -> bytes:
        """Return a text without secrets. Its bytes need not be UTF-8."""
        found = content.decode("utf-8", "surrogateescape")
        return self._secrets.scrubbed(found).encode("utf-8", "surrogateescape")

    def data(self, content: bytes) -> bytes:
        """Return a JSON file without secrets; as a text if it is no JSON."""
        try:
            parsed = json.loads(content)
        except (ValueError, RecursionError):
            return self.text(content)
        return self.text((json.dumps(self._value(parsed), indent=2) + "\n").encode())

    def journal(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the lines of a journal without secrets."""
        for line in lines:
            yield self._line(line)

    def _line(self, line: bytes) -> bytes:
        text = line.decode("utf-8", "surrogateescape")
        if not self._secrets.touches(text) and not self._ids:
            return line
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            return self.text(line)
        if isinstance(parsed, dict) and parsed.get("record") == "plan":
            self._note_ids(line, parsed)
        found = json.dumps(self._value(parsed), separators=(",", ":"), ensure_ascii=False)
        return found.encode("utf-8", "surrogateescape") + b"\n"

    def _note_ids(self, line: bytes, plan: Mapping[str, Any]) -> None:
        """Note the cells whose ids change in another way than their texts do.

        An id names a cell's arguments for QEMU by a digest.
        """
        changed = json.dumps(self._value(plan)).encode()
        try:
            before, after = decode(line), decode(changed)
        except LineError:
            return
        if isinstance(before, PlanRecord) and isinstance(after, PlanRecord):
            pairs = zip(before.cells, after.cells, strict=True)
            self._ids = {
                old.id: new.id for old, new in pairs if self._secrets.scrubbed(old.id) != new.id
            }

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            if value in self._ids:
                return self._ids[value]
            return value if value in _own().values else self._secrets.scrubbed(value)
        if isinstance(value, dict):
            return {self._key(key): self._value(item) for key, item in value.items()}
        return [self._value(item) for item in value] if isinstance(value, list) else value

    def _key(self, key: str) -> str:
        found: str = key if key in _own().fields else self._value(key)
        return found


@dataclass(frozen=True, slots=True)
class _Own:
    """Words that journals and evidence have by their form. A user may be called like one."""

    fields: frozenset[str]
    values: frozenset[str]


@cache
def _own() -> _Own:
    """Return the fields of all that losttick writes, and the values that are its own names."""
    fields = {"record", "seq", "at"}
    values = {*KINDS, *TIMERS.names, *GUESTS.names}
    seen: set[object] = set()
    left: list[Any] = [*KINDS.values(), Seen, Plan]
    while left:
        kind = left.pop()
        left += typing.get_args(kind)
        if kind in seen or not isinstance(kind, type):
            continue
        seen.add(kind)
        if issubclass(kind, enum.Enum):
            values |= {str(each.value) for each in kind}
        if dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel):
            hints = typing.get_type_hints(kind)
            fields |= hints.keys()
            left += hints.values()
    return _Own(frozenset(fields), frozenset(values))

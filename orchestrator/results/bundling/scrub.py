"""Makes the files of an output folder anonymous, so that they still can be read."""

import dataclasses
import enum
import json
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from orchestrator.guest.registry import GUESTS
from orchestrator.journal.line import LineError, decode
from orchestrator.journal.plain import indented
from orchestrator.journal.records import KINDS, PlanRecord
from orchestrator.plan.plan import Plan
from orchestrator.results.bundling.secrets import Secrets
from orchestrator.results.evidence import Seen
from orchestrator.timers.registry import TIMERS

#: Fields whose values are names that Linux, KVM and QEMU gave: a host may be called `kvm`, but
#: then `kvm_intel` is still a module, and `query-kvm` a command.
_TECHNICAL = frozenset({
    "kvm_modules", "vmx_flags", "vendor", "clocksource", "kvm_device", "accelerators", "commands",
    "migration", "machines", "machine_aliases", "execute", "event",
})  # fmt: skip

#: Fields whose keys, at any depth, are names of that kind, and whose values may be anything.
_TECHNICAL_KEYS = frozenset({"qmp_log"})

#: The form of such a name. Another text in these fields is scrubbed as everywhere.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,63}")


class Scrubber:
    """Puts stand-ins for what is secret into the files of one output folder."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._ids: dict[str, str] = {}

    def text(self, content: bytes) -> bytes:
        """Return a text without secrets. Its bytes need not be UTF-8."""
        found = content.decode("utf-8", "surrogateescape")
        return self._secrets.scrubbed(found).encode("utf-8", "surrogateescape")

    def file(self, name: str, content: bytes) -> bytes:
        """Return the content of a file without secrets."""
        return self._data(content) if name.endswith(".json") else self.text(content)

    def _data(self, content: bytes) -> bytes:
        """Return a JSON file without secrets; as a text if it is no JSON."""
        try:
            parsed = json.loads(content)
        except (ValueError, RecursionError):
            return self.text(content)
        return indented(self._value(parsed)).encode()

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

    def _value(self, value: Any, *, technical: bool = False, keys: bool = False) -> Any:
        """Return plain data without secrets.

        Args:
            value: the data.
            technical: whether its texts may be names that Linux, KVM and QEMU gave.
            keys: whether its keys may be.
        """
        if isinstance(value, str):
            return self._text(value, technical=technical)
        if isinstance(value, dict):
            return {
                self._key(key, technical=technical or keys): self._value(
                    item,
                    technical=technical or key in _TECHNICAL,
                    keys=keys or key in _TECHNICAL_KEYS,
                )
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._value(item, technical=technical, keys=keys) for item in value]
        return value

    def _text(self, text: str, *, technical: bool) -> str:
        if text in self._ids:
            return self._ids[text]
        if text in _own().values:
            return text
        if technical and _NAME.fullmatch(text):
            return self._secrets.without_ids(text)
        return self._secrets.scrubbed(text)

    def _key(self, key: str, *, technical: bool) -> str:
        return key if key in _own().fields else self._text(key, technical=technical)


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

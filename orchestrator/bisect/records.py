"""The records of a bisection's log, and each as a line of JSON."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from orchestrator.bisect.rules import Find
from orchestrator.bisect.steps import Phase
from orchestrator.bisect.tester import Stage

#: Number of the log's format. A reader refuses any other.
FORMAT = 1

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

_Count = Annotated[int, Field(ge=0, le=10**9)]
_Seconds = Annotated[float, Field(ge=0)]
_Rate = Annotated[float, Field(gt=0, lt=1)]


class BadLineError(ValueError):
    """A line of a log is not a record."""


@dataclass(frozen=True, config=_STRICT)
class Begun:
    """The first record: the question, and all candidates."""

    find: Find
    min_rate: _Rate
    confidence: _Rate
    candidates: tuple[tuple[str, str, str | None], ...]
    """Name, summary and commit of each candidate."""
    parents: tuple[tuple[_Count, ...], ...]
    settings: dict[str, str]
    """Whatever the results depend on, by the tester."""
    parent_rate: _Rate | None = None
    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT


@dataclass(frozen=True, config=_STRICT)
class BootRecord:
    """Loads of one boot."""

    candidate: _Count
    phase: Phase
    wanted: Annotated[int, Field(ge=1, le=10**9)]
    """The highest number of loads that was asked for."""
    loads: Annotated[int, Field(ge=1, le=10**9)]
    losses: _Count
    seconds: _Seconds
    evidence: str
    signature: str = ""


@dataclass(frozen=True, config=_STRICT)
class UntestableRecord:
    """A candidate about which nothing was learnt."""

    candidate: _Count
    phase: Phase
    stage: Stage
    why: str
    seconds: _Seconds


@dataclass(frozen=True, config=_STRICT)
class SameRecord:
    """A candidate whose kernel was tested before, as another candidate's."""

    candidate: _Count
    phase: Phase
    signature: Annotated[str, Field(min_length=1)]
    seconds: _Seconds


@dataclass(frozen=True, config=_STRICT)
class AskedRecord:
    """A further request, made when a bisection was resumed."""

    parent_rate: _Rate
    """The loss rate that the clean neighbour of the culprit is to rule out."""


Record = Begun | BootRecord | UntestableRecord | SameRecord | AskedRecord

_KINDS: Mapping[str, type[Record]] = {
    "begun": Begun,
    "test": BootRecord,
    "untestable": UntestableRecord,
    "same": SameRecord,
    "asked": AskedRecord,
}

_NAMES = {kind: name for name, kind in _KINDS.items()}
_ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    name: TypeAdapter(kind) for name, kind in _KINDS.items()
}


def encode(record: Record, number: int) -> bytes:
    """Return a record as its line.

    Args:
        record: the record.
        number: number of the line in its file, from 1.
    """
    name = _NAMES[type(record)]
    now = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    head = {"record": name, "seq": number, "at": now}
    fields = head | _ADAPTERS[name].dump_python(record, mode="json")
    text = json.dumps(fields, ensure_ascii=True, separators=(",", ":"))
    return text.encode() + b"\n"


def decode(line: bytes, number: int) -> Record:
    """Return the record of a line.

    Args:
        line: the line.
        number: the number that the line must have.

    Raises:
        BadLineError: it is no record, or not the one of that number.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"it is not JSON ({error})") from error
    name = fields.pop("record", None) if isinstance(fields, dict) else None
    if not isinstance(name, str) or name not in _KINDS:
        raise BadLineError("it is no record of a bisection")
    found, at = fields.pop("seq", None), fields.pop("at", None)
    if type(found) is not int or found != number or not isinstance(at, str):
        raise BadLineError(
            f"its sequence number is not {number}: a line is missing, or twice there"
        )
    try:
        record: Record = _ADAPTERS[name].validate_json(json.dumps(fields))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise BadLineError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return record

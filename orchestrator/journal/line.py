"""A record as a line of JSON, and back."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from orchestrator.journal.records import KINDS, Record, SaveRecord
from orchestrator.journal.trial_record import TrialRecord

_NAMES: Mapping[type[Record], str] = {kind: name for name, kind in KINDS.items()}

#: The beginnings of the most frequent lines, which are known by them without being parsed twice.
_OFTEN: Mapping[bytes, type[Record]] = {
    b'{"record":"trial",': TrialRecord,
    b'{"record":"save",': SaveRecord,
}

#: The beginning of a line, with its sequence number. Such a line need not be parsed for it.
_SEQUENCE = re.compile(rb'\{"record":"[\w-]+","seq":(\d{1,18}),')

#: The fields of a trial that its short line has.
_SHORT = ("cell", "save", "outcome", "first_tick")


class LineError(ValueError):
    """A line is not a record."""


_ADAPTERS: dict[type[Record], TypeAdapter[Record]] = {}


def _adapter(kind: type[Record]) -> TypeAdapter[Record]:
    """Return what reads and writes the fields of one kind of records. It takes long to make."""
    found = _ADAPTERS.get(kind)
    if found is None:
        found = _ADAPTERS[kind] = TypeAdapter(kind)
    return found


def encode(record: Record, number: int) -> bytes:
    """Return a record as its line; fields that have their default are left out.

    Args:
        record: the record.
        number: number of the line in its file, from 1.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    kind = type(record)
    head = {"record": _NAMES[kind], "seq": number, "at": now}
    if type(record) is TrialRecord:
        return _encode_trial(record, head)
    fields = _adapter(kind).dump_python(record, mode="json", exclude_defaults=True)
    return _line(head | fields)


def _encode_trial(trial: TrialRecord, head: Mapping[str, Any]) -> bytes:
    """Return a trial's line: of a plain one without a detour through the adapter."""
    line: dict[str, Any] = {
        **head, "cell": trial.cell, "save": trial.save, "outcome": trial.outcome,
    }  # fmt: skip
    if trial.first_tick:
        line["first_tick"] = trial.first_tick
    if not _is_plain(trial):
        fields = _adapter(TrialRecord).dump_python(trial, mode="json", exclude_defaults=True)
        line |= {name: value for name, value in fields.items() if name not in _SHORT}
    return _line(line)


def _is_plain(trial: TrialRecord) -> bool:
    """Return whether all fields but those of the short line have their default."""
    return (
        trial.number is None and trial.attempt == 1 and not trial.others and not trial.why
        and trial.ticks_after_load == 2 and not trial.stale_bytes and not trial.vcpu
        and trial.duration_ns is None and not trial.missing_periods and not trial.diagnoses
        and not trial.gaps
        and trial.evidence is None and trial.role == "host" and trial.pair is None
        and not trial.next_save
    )  # fmt: skip


def _line(fields: Mapping[str, Any]) -> bytes:
    try:
        # Twice as quick as json.
        return to_json(fields, inf_nan_mode="constants") + b"\n"
    except PydanticSerializationError:  # a file's name may have bytes that are not UTF-8
        return to_json(_in_utf8(fields), inf_nan_mode="constants") + b"\n"


def _in_utf8(value: Any) -> Any:
    """Return plain data with an escape for everything in its texts that UTF-8 lacks."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_in_utf8(key): _in_utf8(item) for key, item in value.items()}
    return [_in_utf8(item) for item in value] if isinstance(value, list | tuple) else value


def decode(line: bytes) -> Record:
    """Return the record of a line.

    Raises:
        LineError: the line is not a record, with the reason.
    """
    try:
        for start, kind in _OFTEN.items():
            if line.startswith(start):
                return _adapter(kind).validate_json(line)
        return _decode(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            _parsed(line)  # which says so in the words of all lines
        place = ".".join(map(str, first["loc"]))
        raise LineError(f"{place}: {first['msg']}" if place else first["msg"]) from error


def sequence_number(line: bytes) -> int | None:
    """Return the sequence number of a line; None if it has none.

    Raises:
        LineError: the line is not JSON, or its number is no number.
    """
    if found := _SEQUENCE.match(line):
        return int(found[1])
    if b'"seq"' not in line:
        return None
    fields = _parsed(line)  # somebody has written the line anew, with other spaces
    number = fields.get("seq") if isinstance(fields, dict) else None
    if number is not None and type(number) is not int:
        raise LineError(f"its sequence number is {number!r}")
    return number


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except RecursionError as error:
        raise LineError("it is nested too deeply") from error
    except ValueError as error:
        raise LineError(f"it is not JSON ({error})") from error


def _decode(line: bytes) -> Record:
    """Return the record of a line whose kind is not known yet."""
    fields = _parsed(line)
    name = fields.get("record") if isinstance(fields, dict) else None
    if name is None:
        raise LineError("it has no `record`")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise LineError(f"no record of the kind {name!r} is known")
    return _adapter(kind).validate_json(line)

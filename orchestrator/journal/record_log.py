"""A log of typed records: a line of JSON each, on the disk before the next step begins.

One process writes at a time. Every state is computed from the log alone, so the work can go on
after any crash, and the log can be read on another computer.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import InputError
from orchestrator.journal.file import Journal
from orchestrator.journal.journal_file import open_journal


class RecordLogError(InputError):
    """A log can't be read, or is not the log that is expected."""


class BadLineError(ValueError):
    """A line of a log is not a record."""


@dataclass(frozen=True, eq=False)
class Kinds:
    """The kinds of records of a log: pydantic dataclasses, by their names in the log."""

    of: str
    """The subject of a log, such as `a bisection`."""
    named: Mapping[str, type[Any]]

    @functools.cached_property
    def _adapters(self) -> Mapping[str, TypeAdapter[Any]]:
        return {name: TypeAdapter(kind) for name, kind in self.named.items()}

    @functools.cached_property
    def _names(self) -> Mapping[type[Any], str]:
        return {kind: name for name, kind in self.named.items()}

    def encode(self, record: Any, number: int) -> bytes:
        """Return a record as its line.

        Args:
            record: the record.
            number: number of the line in its file, from 1.
        """
        name = self._names[type(record)]
        now = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        head = {"record": name, "seq": number, "at": now}
        fields = head | self._adapters[name].dump_python(record, mode="json")
        text = json.dumps(fields, ensure_ascii=True, separators=(",", ":"))
        return text.encode() + b"\n"

    def decode(self, line: bytes, number: int) -> Any:
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
        if not isinstance(name, str) or name not in self.named:
            raise BadLineError(f"it is no record of {self.of}")
        found, at = fields.pop("seq", None), fields.pop("at", None)
        if type(found) is not int or found != number or not isinstance(at, str):
            raise BadLineError(
                f"its sequence number is not {number}: a line is missing, or twice there"
            )
        try:
            return self._adapters[name].validate_json(json.dumps(fields))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise BadLineError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


class RecordLog:
    """An open log, to which one process alone can write."""

    def __init__(
        self, file: Path, kinds: Kinds, *, resume: bool = False, shared: bool = False
    ) -> None:
        """Create a log, or open the one that is there.

        Raises:
            JournalError: it can't be created or opened.
            BusyJournalError: another process writes to it.
            OutFolderError: another user can write to its folder.
        """
        self._kinds = kinds
        self._journal = Journal(file, resume=resume, shared=shared)

    def write(self, record: Any) -> None:
        """Append a record, and wait until it is on the disk.

        Raises:
            JournalError: the disk is full, or the like; or the log was deleted or moved.
        """
        self._journal.append(self._kinds.encode(record, self._journal.records + 1), sync=True)

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    def __enter__(self) -> "RecordLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_records(
    file: Path, kinds: Kinds, longest: int, error: type[RecordLogError] = RecordLogError
) -> Iterator[Any]:
    """Yield the records of a log. A last line that was cut short by a crash is left out.

    Args:
        file: the log.
        kinds: the kinds of its records.
        longest: bytes that a line may have.
        error: what to raise.

    Raises:
        RecordLogError: it can't be read, or a line is not a record.
    """
    try:
        with open_journal(file) as log:
            number = 0
            while line := log.readline(longest):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) == longest:
                        raise error(f"reading the log {file}: line {number}: it is too long")
                    break
                try:
                    yield kinds.decode(line, number)
                except BadLineError as bad:
                    raise error(
                        f"reading the log {file}: line {number}: {bad}. Is it the log of "
                        f"{kinds.of}, whole and by this version of losttick?"
                    ) from bad
    except OSError as failed:
        raise error(f"reading the log {file}: {failed.strerror}") from failed

"""The journal's file: append-only lines, the truth from which every result is computed.

Each line is handed to the kernel before the next step begins. A run that is killed
leaves a readable journal: at most its last line is torn.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.errors import InfraError, InputError
from orchestrator.journal.journal_file import JournalFormatError as JournalFormatError
from orchestrator.journal.journal_file import in_bundle, journal_lines, open_journal
from orchestrator.journal.line import LineError, decode, encode, sequence_number
from orchestrator.journal.out_folder import OutFolder
from orchestrator.journal.records import FORMAT, Record
from orchestrator.process.background import current_job

#: The journal's name in an output folder.
JOURNAL = "journal.jsonl"


#: Bytes to read at a time.
_CHUNK = 1 << 20

#: Lines to read until the next look whether anybody still waits for them.
_LINES_AT_ONCE = 1024


class JournalError(InfraError):
    """The journal, or a file beside it, can't be written: nothing can be recorded."""

    unwritten = True


class BusyJournalError(InputError):
    """Another process writes to the journal: its run still goes on."""


class TakenJournalError(JournalError):
    """Another process has begun a run in the folder since it was found empty."""


class LostJournalError(JournalError):
    """The journal was deleted or moved while the run went on."""


class Journal:
    """An open journal."""

    def __init__(self, path: Path, *, resume: bool = False, shared: bool = False) -> None:
        """Create the file, or open the one that is there to append to it.

        Args:
            path: of the file.
            resume: whether it is there; a last line that was torn by a kill is removed.
            shared: whether it may be in a folder that other users can write to.

        Raises:
            JournalError: it can't be created or opened.
            BusyJournalError: another process writes to it.
            TakenJournalError: it is to be created, and is there.
            OutFolderError: another user can write to its folder.
        """
        self.path = path
        self.records = 0
        """Number of records in the file."""
        self._fd = -1
        doing = "opening" if resume else "creating"
        with contextlib.ExitStack() as failing:
            failing.callback(self.close)
            try:
                self.folder = OutFolder(path.parent, shared=shared)
                failing.callback(self.folder.close)
                self._open(resume=resume)
            except BlockingIOError as error:
                raise BusyJournalError(
                    f"opening the journal {path}: that run still goes on, in another process"
                ) from error
            except FileExistsError as error:
                raise TakenJournalError(
                    f"{doing} the journal {path}: {error.strerror}: another process has begun a "
                    "run there. Choose another place with --out DIR."
                ) from error
            except OSError as error:
                raise JournalError(
                    f"{doing} the journal {path}: {error.strerror}. "
                    "Choose another place with --out DIR."
                ) from error
            failing.pop_all()

    def _open(self, *, resume: bool) -> None:
        """Open or create the file, and lock it."""
        name, how = self.path.name, os.O_RDWR | os.O_APPEND
        if resume:
            self._fd = self.folder.reopen(name, how)
        else:
            self._fd = self.folder.create(name, how)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if resume:
            _cut_torn_line(self._fd)
            self.records = _count_lines(self._fd)
        about = os.fstat(self._fd)
        self._identity = about.st_dev, about.st_ino

    def check(self) -> None:
        """Check that the journal is still where it was created.

        A file that is deleted can still be written to, but nobody will ever read that.

        Raises:
            LostJournalError: it was deleted or moved, or its folder was.
        """
        try:
            about = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            about = None
        except OSError:  # nothing is known: a network file system may not answer for a while
            return
        if about is None or (about.st_dev, about.st_ino) != self._identity:
            gone = os.fstat(self._fd).st_nlink == 0
            raise LostJournalError(
                f"writing to the journal {self.path}: "
                + (
                    "it was deleted while the run went on, and with it everything that was "
                    "counted. Start the run again, in a folder that stays."
                    if gone
                    else "it was moved while the run went on. What was written so far is good: "
                    "continue with --resume and the folder's new name."
                )
            )

    def write(self, record: Record) -> bytes:
        """Append a record, and return its line.

        Raises:
            JournalError: the disk is full, or the like.
            LostJournalError: the journal was deleted or moved.
        """
        return self.append(encode(record, self.records + 1))

    def append(self, line: bytes, *, sync: bool = False) -> bytes:
        """Append a line, and return it.

        Args:
            line: with its newline.
            sync: whether to wait until the line is on the disk.

        Raises:
            JournalError: the disk is full, or the like.
            LostJournalError: the journal was deleted or moved.
        """
        self.check()
        data = line
        try:
            while data:
                data = data[os.write(self._fd, data) :]
            if sync:
                os.fsync(self._fd)
        except OSError as error:
            with contextlib.suppress(OSError):  # else a later record would be joined to the rest
                _cut_torn_line(self._fd)
            raise JournalError(
                f"writing to the journal {self.path}: {error.strerror}. What was written so far "
                "is good. Make room, or choose another place with --out DIR."
            ) from error
        self.records += 1
        return line

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self.folder.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def cannot_write(path: Path, error: OSError) -> JournalError:
    """Return the error of a file beside the journal that can't be written."""
    return JournalError(
        f"writing to {path}: {error.strerror}. The journal so far is good. "
        "Make room, or choose another place with --out DIR."
    )


def is_being_written(path: Path) -> bool:
    """Return whether a process has this journal open for writing: its run still goes on.

    Raises:
        OSError: the file can't be read.
    """
    if in_bundle(path):
        return False
    with open_journal(path) as journal:
        try:
            fcntl.flock(journal, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _cut_torn_line(fd: int) -> None:
    """Remove what stands after the last whole line."""
    end = os.lseek(fd, 0, os.SEEK_END)
    while end and os.pread(fd, 1, end - 1) != b"\n":
        end -= 1
    os.ftruncate(fd, end)


def _count_lines(fd: int) -> int:
    """Return the number of lines in a file."""
    count, place = 0, 0
    while chunk := os.pread(fd, _CHUNK, place):
        count += chunk.count(b"\n")
        place += len(chunk)
    return count


def read_journal(path: Path) -> Iterator[Record]:
    """Yield the records of a journal; see `numbered_records`."""
    for _, record in numbered_records(path):
        yield record


def numbered_records(path: Path, folder: OutFolder | None = None) -> Iterator[tuple[int, Record]]:
    """Yield the records of a journal with the numbers of their lines, from 1.

    A last line that was torn by a kill is left out. Journals from before lines had sequence
    numbers are read without them.

    Args:
        path: of the journal.
        folder: its folder, if that is held open: the journal is opened there.

    Raises:
        OSError: the file can't be read.
        JournalFormatError: it is not a journal, was written in a newer format, or has a line
            that can't be understood, stands twice, or does not follow the line before it.
        WorkCancelled: the task that waits for it was cancelled (`in_thread`).
    """
    with open_journal(path, folder) as journal:
        number, numbered, job = 0, False, current_job()
        for number, line in enumerate(journal_lines(path, journal), 1):
            if number == 1:
                _check_first(path, line)
            if not line.endswith(b"\n"):
                return
            try:
                numbered = _check_sequence(sequence_number(line), number, numbered=numbered)
                record = decode(line)
            except LineError as error:
                raise JournalFormatError(path, number, str(error)) from error
            yield number, record
            if number % _LINES_AT_ONCE == 0:
                job.check()
        if number == 0:
            raise JournalFormatError(path, 1, "the file is empty")


def apply_each(path: Path, apply: Callable[[Record], None], folder: OutFolder | None = None) -> int:
    """Apply each record of a journal to a state; return the number of records.

    Raises:
        OSError: the file can't be read.
        JournalFormatError: the file can't be understood, or a record makes no sense where it is.
    """
    number = 0
    try:
        for line, record in numbered_records(path, folder):
            number = line
            apply(record)
    except ValueError as error:
        raise JournalFormatError(path, number, str(error)) from error
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        reason = f"its values make no sense ({type(error).__name__}: {error})"
        raise JournalFormatError(path, number, reason) from error
    return number


def _check_sequence(found: int | None, number: int, *, numbered: bool) -> bool:
    """Check a line's sequence number; return whether it has one.

    Args:
        found: the sequence number.
        number: of the line.
        numbered: whether the line before it has a sequence number.

    Raises:
        LineError: it does not follow the line before it.
    """
    if found is None:
        if numbered:
            raise LineError("it has no sequence number, but the record before it has one")
    elif found < number:
        raise LineError(f"it is record {found} of the run: it or a line before it stands twice")
    elif found > number:
        missing = found - number
        raise LineError(f"{missing} record{'s are' if missing > 1 else ' is'} missing before it")
    return found is not None


def _check_first(path: Path, line: bytes) -> None:
    """Check that a journal's first line begins a journal in a format that can be read.

    Raises:
        JournalFormatError: it does not.
    """
    foreign = "it does not begin the journal of a losttick run"
    if not line.endswith(b"\n"):
        raise JournalFormatError(path, 1, foreign)
    try:
        first = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise JournalFormatError(path, 1, f"{foreign}: it is not JSON ({error})") from error
    if not isinstance(first, dict) or first.get("record") not in ("run", "direct"):
        raise JournalFormatError(path, 1, foreign)
    written = first.get("format")
    if not isinstance(written, int):
        raise JournalFormatError(path, 1, f"{foreign}: it names no format")
    if not 1 <= written <= FORMAT:
        raise JournalFormatError(
            path, 1,
            f"losttick {first.get('losttick')} wrote the journal in format {written}, and this "
            f"losttick reads formats up to {FORMAT}. Read it with the losttick that wrote it.",
        )  # fmt: skip

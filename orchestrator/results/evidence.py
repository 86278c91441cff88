"""The evidence of a trial, read back from its folder.

An evidence folder may come from elsewhere: links are not followed, files are read up to a
limit, and data of another form is no evidence.
"""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter
from pydantic_core import from_json

from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.evidence import Evidence
from orchestrator.findings.outcome import TrialResult
from orchestrator.findings.save import Save
from orchestrator.process.existence import is_file

#: Most bytes of `evidence.json` that are read.
MOST_DATA = 8 << 20

#: Most bytes of a text file that are read, from its end.
MOST_TEXT = 1 << 16

#: Why a file of a bundle is not read.
_NOT_KEPT = (
    "the files of the bundle are larger than what is kept in memory. Unpack it, and read its folder"
)

#: The form of an evidence folder's name in a journal.
_PLACE = re.compile(r"([A-Za-z0-9_-]+)/([A-Za-z0-9_-]+)")

#: The integers that a kernel, a CPU or QEMU can give: signed or unsigned, of 64 bits.
_INTEGERS = range(-(1 << 63), 1 << 64)

#: Returns the last bytes of a file of an evidence folder, and its size; raises an OSError.
_Content = Callable[[str, int], tuple[bytes, int]]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Seen:
    """The contents of `evidence.json`."""

    cell: str
    trial: TrialResult
    save: Save
    evidence: Evidence
    diagnosis: Diagnosis | None = None


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """The files of an evidence folder, as far as they can be read."""

    seen: Seen | None = None
    trace: str = ""
    """The kernel's trace since the last load."""
    console: str = ""
    """The end of the console output."""
    fault: str = ""
    """Why `evidence.json` was not read; empty if it was."""


def read_evidence(folder: Path, place: str) -> EvidenceFiles:
    """Return what an evidence folder holds. Whatever can't be read is left out.

    Args:
        folder: the output folder of the run.
        place: the evidence folder, as the journal names it: `evidence/NNNN-ROLE-OUTCOME`.
    """
    found = _PLACE.fullmatch(place)
    if not found:
        return EvidenceFiles(fault="the journal names no evidence folder of this run")
    if is_file(folder):
        return _of_bundle(folder, found[1], place)
    try:
        with (
            _opened(str(folder), _FOLDER & ~os.O_NOFOLLOW) as run,
            _opened(found[1], _FOLDER, run) as outer,
            _opened(found[2], _FOLDER, outer) as at,
        ):
            return _read_files(lambda name, most: _content(at, name, most))
    except OSError as error:
        return EvidenceFiles(fault=f"{place}: {error.strerror}")


def _of_bundle(bundle: Path, outer: str, place: str) -> EvidenceFiles:
    """Return what an evidence folder in a bundle holds."""
    # Few results are in bundles, and Zstandard takes its time to import.
    from orchestrator.journal.archive import index, small_files

    files, sizes = small_files(bundle, outer), index(bundle)

    def content(name: str, most: int) -> tuple[bytes, int]:
        data = files.get(f"{place}/{name}")
        if data is None:
            if f"{place}/{name}" in sizes:
                raise OSError(errno.EFBIG, _NOT_KEPT)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return data[-most:], len(data)

    return _read_files(content)


def _read_files(content: _Content) -> EvidenceFiles:
    seen, fault = None, ""
    try:
        data, size = content("evidence.json", MOST_DATA)
        if size > MOST_DATA:
            fault = f"evidence.json has {size:,} bytes, more than {MOST_DATA >> 20} MiB"
        else:
            seen = _seen(data)
    except OSError as error:
        fault = f"evidence.json: {error.strerror}"
    except (ValueError, RecursionError):
        fault = "evidence.json does not have the form that this losttick writes"
    return EvidenceFiles(seen, _text(content, "trace.txt"), _text(content, "console.txt"), fault)


def _seen(data: bytes) -> Seen:
    """Return the contents of `evidence.json`.

    Raises:
        ValueError: the data has another form, or numbers that cannot be.
        RecursionError: it is nested too deep.
    """
    seen = _reader().validate_json(data)
    if not (seen.trial.vcpus and seen.save.vcpus):
        raise ValueError("a trial or a save without a vCPU")
    rest = [from_json(data)]
    while rest:
        value = rest.pop()
        if isinstance(value, dict | list):
            rest += value.values() if isinstance(value, dict) else value
        elif isinstance(value, int) and value not in _INTEGERS:
            raise ValueError("an integer of more than 64 bits")
    return seen


@cache
def _reader() -> TypeAdapter[Seen]:
    return TypeAdapter(Seen)


def _text(content: _Content, name: str) -> str:
    """Return the end of a text file; nothing if it is missing."""
    with contextlib.suppress(OSError):
        return content(name, MOST_TEXT)[0].decode("utf-8", "backslashreplace")
    return ""


def _content(at: int, name: str, most: int) -> tuple[bytes, int]:
    """Return the last bytes of a file, at most `most`, and the size of the file.

    Raises:
        OSError: it can't be read, or is no file.
    """
    with _opened(name, _FILE, at) as fd:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        return os.pread(fd, most, max(0, about.st_size - most)), about.st_size


@contextlib.contextmanager
def _opened(name: str, flags: int, at: int | None = None) -> Iterator[int]:
    fd = os.open(name, flags, dir_fd=at)
    try:
        yield fd
    finally:
        os.close(fd)

"""Brings the folder of a run from its host, and resumes what was cut short.

The host is not trusted. Its names are checked (`reply`), each file is read up to the size that
was said, and is written anew beside its place, then renamed. A file has its name only once its
digest is the host's.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import InfraError
from orchestrator.fleet.ssh.connection import Connection, HostError
from orchestrator.fleet.ssh.host_side import MOST_FILES
from orchestrator.fleet.ssh.reply import File, Files, ReplyError, total
from orchestrator.fleet.ssh.still import given_up_if_still
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.out_folder import OutFolder
from orchestrator.process.background import in_thread

if TYPE_CHECKING:
    import asyncssh

#: Bytes that are asked for at a time.
_BLOCK = 1 << 20

#: The ending of a file that is being brought.
_PART = ".part"

#: Seconds that the host may take between two files, to compute digests.
_LISTING_S = 600


class BringError(InfraError):
    """A run can't be written down here."""


async def bring(connection: Connection, job: str, to: Path) -> str:
    """Bring the run of a job.

    Args:
        connection: to its host.
        job: the job's folder there.
        to: the folder here. What is there already, and is the same, stays.

    Returns:
        Words on what was not brought; empty if all was.

    Raises:
        HostError: the host went away; what was brought stays.
        FailedThereError: the host can't read it.
        ReplyError: it answers what it should not.
        BringError: there is no room here, or no right to write.
    """
    files: list[File] = []
    summary: Files | None = None
    answers = connection.listen("manifest", File, Files, answer_s=_LISTING_S, job=job)
    async with contextlib.aclosing(answers):
        async for each in answers:
            if not isinstance(each, File):
                summary = each
                break
            if len(files) == MOST_FILES:
                raise ReplyError(f"the host names more than {MOST_FILES:,} files")
            files.append(each)
    if summary is None:
        raise HostError("listing the run: the connection was lost", later=True)
    size = total(files, summary)
    with contextlib.ExitStack() as held:
        with _local(to):
            folder = held.enter_context(OutFolder(to, make=True))
            if size > folder.disk.free_bytes:
                raise BringError(f"bringing the run into {to}: {size:,} bytes have no room there")
        async with connection.sftp() as sftp:
            for file in files:
                with _local(to), _parent(folder, file) as (parent, name):
                    if not await in_thread(_has, parent, name, file):
                        place = _Place(parent, name, file)
                        await _bring_file(connection, sftp, f"{job}/run/{file.path}", place)
    return f"{summary.odd} links or devices were not brought" if summary.odd else ""


@dataclass(frozen=True, slots=True)
class _Place:
    """The place that a file goes to here."""

    folder: OutFolder
    name: str
    file: File


async def _bring_file(
    connection: Connection, sftp: "asyncssh.SFTPClient", remote: str, place: _Place
) -> None:
    """Bring a file, from where it was cut short.

    Raises:
        OSError: it can't be written here.
        ReplyError: it is not what the host said.
    """
    for begin in (_begun, _anew):
        fd, at = begin(place)
        try:
            at = await _read(connection, sftp, remote, place, fd, at)
            whole = at == place.file.size and await in_thread(_digest, fd) == place.file.sha256
            if whole:
                await in_thread(os.fsync, fd)
                place.folder.rename(place.name + _PART, place.name)
                return
        finally:
            os.close(fd)
    place.folder.remove(place.name + _PART)
    raise ReplyError(f"{place.file.path} is not what the host says that it is")


async def _read(
    connection: Connection, sftp: "asyncssh.SFTPClient", remote: str, place: _Place, fd: int,
    at: int,
) -> int:  # fmt: skip
    """Read a file from a place on, and return how far it goes, or how far it was said to go.

    Raises:
        HostError: the host is there, and gives nothing.
        OSError: it can't be written here.
    """
    doing = f"reading {place.file.path} there"
    with given_up_if_still(connection, doing) as did_something:
        async with sftp.open(remote, "rb") as source:
            while at < place.file.size:
                block = await source.read(min(_BLOCK, place.file.size - at), at)
                if isinstance(block, str) or not block or len(block) > place.file.size - at:
                    break
                await in_thread(_write, fd, block, at)
                at += len(block)
                did_something()
    return at


def _begun(place: _Place) -> tuple[int, int]:
    """Open what there is of a file, and return its length, too.

    A journal is only ever added to, so an older one is its beginning.
    """
    part = place.name + _PART
    with contextlib.suppress(FileNotFoundError):
        fd = place.folder.reopen(part, os.O_RDWR)
        size = os.fstat(fd).st_size
        if size <= place.file.size:
            return fd, size
        os.close(fd)
    fd, _ = _anew(place)
    with contextlib.suppress(FileNotFoundError):
        old = place.folder.reopen(place.name, os.O_RDONLY)
        try:
            size = os.fstat(old).st_size
            if place.name == JOURNAL and size <= place.file.size:
                at = 0
                while block := os.pread(old, _BLOCK, at):
                    _write(fd, block, at)
                    at += len(block)
                return fd, at
        finally:
            os.close(old)
    return fd, 0


def _anew(place: _Place) -> tuple[int, int]:
    with contextlib.suppress(FileNotFoundError):
        place.folder.remove(place.name + _PART)
    return place.folder.create(place.name + _PART, os.O_RDWR), 0


def _has(folder: OutFolder, name: str, file: File) -> bool:
    """Return whether a file is here as the host has it."""
    try:
        fd = folder.reopen(name, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return os.fstat(fd).st_size == file.size and _digest(fd) == file.sha256
    finally:
        os.close(fd)


def _digest(fd: int) -> str:
    sha, at = hashlib.sha256(), 0
    while block := os.pread(fd, _BLOCK, at):
        sha.update(block)
        at += len(block)
    return sha.hexdigest()


def _write(fd: int, block: bytes, at: int) -> None:
    while block:
        written = os.pwrite(fd, block, at)
        block, at = block[written:], at + written


@contextlib.contextmanager
def _parent(folder: OutFolder, file: File) -> Iterator[tuple[OutFolder, str]]:
    """Open the folder of a file, and those on the way to it."""
    *folders, name = file.path.split("/")
    with contextlib.ExitStack() as held:
        for each in folders:
            folder = held.enter_context(folder.folder(each))
        yield folder, name


@contextlib.contextmanager
def _local(to: Path) -> Iterator[None]:
    """Turn an error of this computer into a sentence."""
    try:
        yield
    except OSError as error:
        raise BringError(f"bringing the run into {to}: {error.strerror or error}") from error

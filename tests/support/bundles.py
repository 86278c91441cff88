"""Bundles as a stranger could send them."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from orchestrator.journal.archive import read_members, zstd

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, content: bytes = b"", **fields: object) -> Entry:
    """Return a file of an archive, or with other fields something that is no file."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def archive(entries: Sequence[Entry], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """Return an archive that is not compressed."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w", format=form) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return found.getvalue()


def write_bundle(path: Path, data: bytes) -> Path:
    """Write an archive, compressed."""
    path.write_bytes(zstd.compress(data))
    return path


def contents(bundle: Path) -> dict[str, bytes]:
    """Return all files of a bundle."""
    return {member.name: member.content.read() for member in read_members(bundle)}

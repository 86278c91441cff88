"""The entries of losttick's cache. An entry is always complete.

An entry is a folder `STORE/KEY` that contains `content`, a `manifest.json` with the size,
time and SHA-256 of its files, a `record.json` that describes the entry, and a `lock`.
Processes that use the entry hold the lock shared; a process that removes the entry holds it
exclusively. An entry is made in a workshop and moved to its place by one rename. A kill at
any moment leaves either a complete entry, or files in a workshop that the next builder
removes.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.cache.workshop import LOCK, is_current, wait_for_lock

RECORD = "record.json"


_CONTENT = "content"


_MANIFEST = "manifest.json"


#: File with the damage that a complete check found. An entry with this file is damaged.
_DAMAGED = "damaged"


#: Up to here every file of an entry is read at each use (a third of a second); of a
#: larger one those whose time has changed, and of the others only the size is looked at.
_ALWAYS_READ_BYTES = 256 << 20


#: Number of damaged files that a message names.
_NAMED = 3


#: Locks that this process holds until it ends, by folder and inode.
_held: dict[tuple[Path, int], int] = {}


@dataclass(frozen=True, slots=True)
class EntryInfo:
    """The description of an entry."""

    what: str
    """The contents of the entry, in words."""
    version: str
    made_s: float
    """Time of creation, in s since the epoch."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """The origin of the entry."""
    files: int = 0
    size_bytes: int = 0
    manifest_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One complete entry of the cache."""

    folder: Path
    info: EntryInfo

    @property
    def content(self) -> Path:
        """The folder with the contents."""
        return self.folder / _CONTENT

    @property
    def used_s(self) -> float:
        """Time of last use by any process, in s since the epoch."""
        return (self.folder / LOCK).stat().st_mtime

    def damage(self, *, whole: bool = False) -> list[str]:
        """Return the damage of the entry, one line for each file.

        Args:
            whole: read every file, and record the damage for later users of the entry.
        """
        known = self.folder / _DAMAGED
        with contextlib.suppress(OSError):
            return known.read_text().splitlines()
        try:
            manifest = self._manifest()
        except (OSError, ValueError) as error:
            return [f"{_MANIFEST}: {error}"]
        everything = whole or self.info.size_bytes <= _ALWAYS_READ_BYTES
        found = [
            f"{name}: {what}"
            for name, kept in manifest.items()
            if (what := _difference(self.content / name, kept, read=everything))
        ]
        if whole and found:
            with contextlib.suppress(OSError):
                known.write_text("\n".join(found))
        return found

    def _manifest(self) -> dict[str, list[Any]]:
        text = (self.folder / _MANIFEST).read_bytes()
        if hashlib.sha256(text).hexdigest() != self.info.manifest_sha256:
            raise ValueError("its SHA-256 is another")
        manifest: dict[str, list[Any]] = json.loads(text)
        return manifest


def in_words(damage: list[str]) -> str:
    """Return a list of damaged files, short enough for a message."""
    more = len(damage) - _NAMED
    return "; ".join(damage[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


class Store:
    """Entries of one kind. The key of an entry determines its contents."""

    def __init__(self, place: Path) -> None:
        """Use a folder, which need not exist."""
        self._place = place

    def find(self, key: str) -> Entry | None:
        """Return an entry, and prevent its removal as long as this process runs.

        The entry may be damaged: see `Entry.damage`.
        """
        folder = self._place / key
        return read(folder) if _hold(folder) else None

    def entries(self) -> list[Entry]:
        """Return all entries, without preventing their removal."""
        folders = sorted(self._place.iterdir()) if self._place.is_dir() else []
        return [entry for folder in folders if (entry := read(folder))]

    def add(self, key: str, made: Path, info: EntryInfo) -> Entry:
        """Move a folder into the cache, and replace an entry that has this key.

        Args:
            key: name of the entry in the store.
            made: the folder, in a workshop of the same cache. It is moved.
            info: description; the number of files, size and digest are filled in.
        """
        fresh = Path(tempfile.mkdtemp(prefix="entry-", dir=made.parent))
        fresh.chmod(0o755)
        made.rename(fresh / _CONTENT)
        manifest = _list(fresh / _CONTENT)
        text = json.dumps(manifest).encode()
        (fresh / _MANIFEST).write_bytes(text)
        filled = asdict(info) | {
            "files": len(manifest),
            "size_bytes": sum(size for size, _, _ in manifest.values()),
            "manifest_sha256": hashlib.sha256(text).hexdigest(),
        }
        (fresh / RECORD).write_text(json.dumps(filled, indent=2))
        (fresh / LOCK).touch()
        self._place.mkdir(parents=True, exist_ok=True)
        folder = self._place / key
        with contextlib.suppress(FileNotFoundError):
            folder.rename(Path(tempfile.mkdtemp(dir=made.parent)) / "old")
        try:
            fresh.rename(folder)
        except OSError:
            if read(folder) is None:  # otherwise another process has added the same entry
                raise
        return self.find(key) or Entry(folder, EntryInfo(**filled))


def read(folder: Path) -> Entry | None:
    """Return the entry in a folder; None if there is no readable entry."""
    try:
        return Entry(folder, EntryInfo(**json.loads((folder / RECORD).read_bytes())))
    except (OSError, ValueError, TypeError):
        return None


def let_go() -> None:
    """Allow the removal of every entry that this process has used."""
    while _held:
        os.close(_held.popitem()[1])


def _hold(folder: Path) -> bool:
    """Lock an entry shared until this process ends, and note the time; False: there is none."""
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        wait_for_lock(lock, fcntl.LOCK_SH)
    except BaseException:
        os.close(lock)
        raise
    if not is_current(lock, folder):
        os.close(lock)
        return False
    with contextlib.suppress(OSError):  # the cache may belong to another user
        os.utime(lock)
    key = (folder, os.fstat(lock).st_ino)
    if key in _held:
        os.close(lock)
    else:
        _held[key] = lock
    return True


def _list(content: Path) -> dict[str, list[Any]]:
    """Return size, time (ns) and SHA-256 of each file, and the target of each link."""
    listed = {}
    for folder, folders, files in os.walk(content):
        for name in sorted([*folders, *files]):
            path = Path(folder) / name
            if path.is_symlink() or name in files:
                listed[str(path.relative_to(content))] = _state(path)
    return listed


def _state(path: Path) -> list[Any]:
    if path.is_symlink():
        return [0, 0, f"-> {path.readlink()}"]
    about = path.stat()
    return [about.st_size, about.st_mtime_ns, _sha256(path)]


def _difference(path: Path, kept: list[Any], *, read: bool) -> str | None:
    """Return how a file differs from its description in the entry."""
    size, mtime_ns, digest = kept
    try:
        if digest.startswith("-> "):
            return None if f"-> {path.readlink()}" == digest else "it links elsewhere"
        about = path.lstat()
        if about.st_size != size:
            return f"{about.st_size} bytes, not {size}"
        if (read or about.st_mtime_ns != mtime_ns) and _sha256(path) != digest:
            return "its SHA-256 is another"
    except OSError as error:
        return f"{error.strerror}"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

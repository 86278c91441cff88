"""Lists, checks and removes the contents of the cache."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.cache.store import RECORD, Entry, read
from orchestrator.cache.workshop import LOCK, locked_at_once

#: Folder of the files that a user brought. It is never removed.
BROUGHT = "debs"


#: Files outside of entries are summed up for each folder if they are larger than this.
_WORTH_A_LINE_BYTES = 100_000


#: Depth to which folders without a lock are searched for folders with one.
_DEPTH = 2


#: Folder of the index files. They are removed together with the trees that they name.
_INDEX = "index"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the cache: an entry, or the other files of a folder."""

    kind: str
    """Name of the item's folder in the cache."""
    what: tuple[str, ...]
    """The requests for which the item is used."""
    version: str
    size_bytes: int
    made_s: float
    used_s: float
    """Time of last use, in s since the epoch, like `made_s`."""
    path: Path
    damage: tuple[str, ...] | None = None
    """Damaged files; None if the item was not checked."""


def items(cache: Path, *, check: bool = False) -> Iterator[Item]:
    """Yield the items of the cache.

    Args:
        cache: losttick's cache folder.
        check: read every file, and compare it with its SHA-256.
    """
    answers = _answers(cache)
    for place in _files(cache):
        rest = _size(place)
        for entry in _entries(place):
            rest -= _size(entry.folder)
            requests = answers.get(entry.folder.name, [entry.info.what])
            yield _item(entry, place.name, tuple(requests), check=check)
        if rest >= _WORTH_A_LINE_BYTES:
            made_s = place.stat().st_mtime
            what = "brought by hand" if place.name == BROUGHT else f"more in {place.name}/"
            yield Item(place.name, (what,), "", rest, made_s, made_s, place)


def _entries(place: Path) -> Iterator[Entry]:
    for pattern in (f"*/{RECORD}", f"*/*/{RECORD}"):
        for record in sorted(place.glob(pattern)):
            built = not record.parent.parent.name.startswith("work")
            if built and (entry := read(record.parent)):
                yield entry


def _item(entry: Entry, kind: str, what: tuple[str, ...], *, check: bool) -> Item:
    info = entry.info
    damage = tuple(entry.damage(whole=True)) if check else None
    return Item(
        kind, what, info.version, info.size_bytes, info.made_s, entry.used_s, entry.folder,
        damage,
    )  # fmt: skip


def _answers(cache: Path) -> dict[str, list[str]]:
    """Return the requests for which each tree of packages is used."""
    found: dict[str, list[str]] = {}
    for path in _files(cache / "packages" / _INDEX):
        try:
            answer = json.loads(path.read_bytes())
            request = f"{' '.join(answer['packages'])} of {answer['suite']}"
            found.setdefault(answer["tree"], []).append(request)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


@dataclass(slots=True)
class Cleaned:
    """The result of cleaning the cache."""

    freed_bytes: int = 0
    in_use: list[Path] = field(default_factory=list)
    """Items that were left because another process builds or uses them."""


def clean(cache: Path, older_than_s: float = 0.0) -> Cleaned:
    """Remove the items of the cache, except files that a user brought.

    Items that another process is building or using stay, and so do items that were used
    less than `older_than_s` ago.

    Raises:
        OSError: something can't be removed.
    """
    done = Cleaned()
    before = time.time() - older_than_s
    for place in _files(cache):
        if place.name != BROUGHT:
            _clear(place, before, done)
    packages = cache / "packages"
    for answer in _files(packages / _INDEX):
        if not (packages / "trees" / _tree(answer)).is_dir():
            answer.unlink()
    for folder in (packages / _INDEX, packages, cache):
        _leave(folder)
    return done


def _clear(path: Path, before_s: float, done: Cleaned, depth: int = 1) -> None:
    """Remove the entries not used since a time, and the folders that are then empty."""
    if not (path / LOCK).exists():
        if path.is_symlink() or not path.is_dir() or depth > _DEPTH:
            _remove(path, before_s, done)
        elif path.name != _INDEX:
            for child in sorted(path.iterdir()):
                _clear(child, before_s, done, depth + 1)
            _leave(path)
        return
    with contextlib.suppress(FileNotFoundError):
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
        if not locked_at_once(lock, path):
            done.in_use.append(path)
            return
        try:
            _clear_locked(path, before_s, done, depth)
        finally:
            os.close(lock)


def _clear_locked(path: Path, before_s: float, done: Cleaned, depth: int) -> None:
    """Remove an entry, or a workshop and the files beside it; the lock file comes last."""
    if entry := read(path):
        if entry.used_s > before_s:
            return
        (path / RECORD).unlink()  # from here on, the entry is incomplete
        before_s = time.time()
    for child in sorted(path.iterdir()):
        if child.name.startswith(
            "work"
        ):  # nobody is building there, because this process has the lock
            _remove(child, time.time(), done)
        elif (child / LOCK).exists():
            _clear(child, before_s, done, depth + 1)
        elif child.name != LOCK:
            _remove(child, before_s, done)
    if [child.name for child in path.iterdir()] == [LOCK]:
        (path / LOCK).unlink()
        _leave(path)


def _remove(path: Path, before_s: float, done: Cleaned) -> None:
    if path.lstat().st_mtime > before_s:
        return
    size = _size(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    done.freed_bytes += size


def _leave(folder: Path) -> None:
    """Remove a folder if it is empty."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _tree(answer: Path) -> str:
    """Return the name of the tree that an index file names."""
    try:
        return str(json.loads(answer.read_bytes())["tree"])
    except (OSError, ValueError, KeyError, TypeError):
        return "-"


def _size(path: Path) -> int:
    """Return the size of a file, or of all files in a folder that other processes may change."""
    if path.is_dir() and not path.is_symlink():
        return sum(
            _size(Path(folder) / name) for folder, _, files in os.walk(path) for name in files
        )
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0

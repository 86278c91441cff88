"""Where losttick's cache is, and how one process at a time builds in it."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: The file that is locked, in a workshop as in an entry.
LOCK = "lock"


def cache_folder() -> Path:
    """Return losttick's folder under the XDG cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "losttick"


@contextlib.contextmanager
def workshop(place: Path) -> Iterator[Path]:
    """Give an empty folder in `place` to build in, to one process at a time.

    What a process that was killed has left in it is removed by the next.
    """
    lock = _lock_made(place)
    try:
        for left in place.glob("work*"):
            shutil.rmtree(left, ignore_errors=True)
        # A name of its own: a tool of the killed process may still write to the last one.
        work = Path(tempfile.mkdtemp(prefix="work-", dir=place))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        os.close(lock)


def _lock_made(place: Path) -> int:
    """Lock a folder alone, making it where it is missing; wait for whoever has it."""
    while True:
        place.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # removed since
            lock = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if locked(lock, place, fcntl.LOCK_EX):
                return lock


def locked(lock: int, folder: Path, how: int) -> bool:
    """Lock a folder's opened lock file; close it and return False if that was in vain.

    Args:
        lock: the open file.
        folder: whose lock it was when it was opened; another may have removed it since.
        how: as of flock(2).
    """
    try:
        fcntl.flock(lock, how)
        if (folder / LOCK).stat().st_ino == os.fstat(lock).st_ino:
            return True
    except OSError:  # busy, or removed
        pass
    os.close(lock)
    return False

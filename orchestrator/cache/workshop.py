"""The folder of losttick's cache, and workshops: folders in which one process builds at a time."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import InfraError, says_no_room
from orchestrator.process.background import current_job
from orchestrator.process.owners import who_can_exchange

#: Name of the lock file, in workshops and in entries.
LOCK = "lock"


#: Time between two attempts to take a lock that another process holds. (flock can't be
#: awaited, and a thread that waits in it can't be stopped.)
_RETRY_S = 0.1


_OTHER_FOLDER = "Let XDG_CACHE_HOME name a folder that you can write to, with room"


class CacheError(InfraError):
    """The cache can't be used."""

    def __init__(self, doing: str, seen: str, do: str = _OTHER_FOLDER) -> None:
        super().__init__(f"{doing}: {seen}. {do}.")

    @property
    def transient(self) -> bool:
        """True if there is no room at the moment."""
        return says_no_room(str(self))


def cache_folder() -> Path:
    """Return losttick's folder under the XDG cache directory.

    A relative XDG_CACHE_HOME is ignored, as its specification says. There are programs in the
    cache: whoever can write to it can have this user run any.

    Raises:
        CacheError: this user has no home folder, or another user can write to the cache.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        try:
            base = Path("~/.cache").expanduser()
        except RuntimeError as error:
            raise CacheError("looking for the cache", "this user has no home folder") from error
    cache = base / "losttick"
    try:
        cache = cache.resolve()
        others = who_can_exchange(cache, may_add=False)
    except (OSError, RuntimeError):  # a file is in its place, or links lead round and round
        return cache
    if others:
        raise CacheError(
            f"using the cache {cache}", f"{others}, and what is in the cache is run",
            "Take the right to write from others (chmod go-w), or let XDG_CACHE_HOME name a folder "
            "that belongs to you, with parents that are yours or root's",
        )  # fmt: skip
    return cache


@contextlib.contextmanager
def workshop(place: Path) -> Iterator[Path]:
    """Provide an empty folder in `place` to build in, to one process at a time.

    Blocks while another process is building there, so coroutines call it through `in_thread`.
    Files that a killed process left in `place` are removed.

    Raises:
        CacheError: the folder can't be written to, or its disk is full.
        WorkCancelled: nobody waits for the build any more.
    """
    try:
        lock = _lock_made(place)
    except OSError as error:
        raise CacheError(f"making {place}", str(error.strerror)) from error
    try:
        for left in place.glob("work*"):
            shutil.rmtree(left, ignore_errors=True)
        try:
            # A new name each time: a tool of a killed process may still write to the last one.
            work = Path(tempfile.mkdtemp(prefix="work-", dir=place))
        except OSError as error:
            raise CacheError(f"making a folder in {place}", str(error.strerror)) from error
        try:
            yield work
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise CacheError(f"building in {place}", str(error.strerror)) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        os.close(lock)


def _lock_made(place: Path) -> int:
    """Make a folder if it is missing, and lock it; wait while another process holds the lock."""
    while True:
        for each in (*reversed(place.parents), place):
            if not each.is_dir():
                each.mkdir(0o755, exist_ok=True)  # no group may write to it, whatever the umask
        with contextlib.suppress(FileNotFoundError):  # removed since
            lock = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                wait_for_lock(lock)
            except BaseException:
                os.close(lock)
                raise
            if is_current(lock, place):
                return lock
            os.close(lock)


def wait_for_lock(lock: int, how: int = fcntl.LOCK_EX) -> None:
    """Lock an open file; wait while another process holds the lock.

    Args:
        lock: the open file.
        how: the operation for flock(2): alone, or shared.

    Raises:
        WorkCancelled: nobody waits for this work any more.
    """
    job = current_job()
    while True:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            job.pause(_RETRY_S)


def locked_at_once(lock: int, folder: Path) -> bool:
    """Lock a folder's opened lock file alone; close the file and return False if it is held."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_current(lock, folder):
            return True
    except OSError:  # held by another process
        pass
    os.close(lock)
    return False


def is_current(lock: int, folder: Path) -> bool:
    """Return whether an open lock file is still its folder's: another process may remove that."""
    try:
        return (folder / LOCK).stat().st_ino == os.fstat(lock).st_ino
    except OSError:
        return False

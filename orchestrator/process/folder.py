"""The folders in which programs run, and the removal of folders without a supervisor."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

#: A tmpfs with less room than this is left alone; a snapshot of the tick guest takes some MB.
ROOM_BYTES = 128 * 1024 * 1024


PREFIX = "losttick-qemu-"


#: The supervisor puts this file into each folder. A folder without it is never removed.
MARKER = ".supervised"


def base_folder() -> Path:
    """Return a tmpfs with room, preferably the user's own; else the folder for temporary files."""
    for place in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):
        if place and os.access(place, os.W_OK | os.X_OK):
            fs = os.statvfs(place)
            if fs.f_bavail * fs.f_frsize >= ROOM_BYTES:
                return Path(place)
    return Path(tempfile.gettempdir())


def sweep(base: Path, twins: Path | None = None, older_than_s: float = 10) -> list[Path]:
    """Remove folders under `base` that no supervisor holds any more; return them.

    A folder of the same name in `twins` is removed, too, if it is empty. A living supervisor
    keeps its folder locked; the age limit spares a folder that was only just made.
    """
    removed = []
    for folder in base.glob(PREFIX + "*"):
        try:
            if time.time() - folder.stat().st_mtime < older_than_s:
                continue
            if folder.stat().st_uid != os.geteuid() or not (folder / MARKER).exists():
                continue
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            if twins:
                with contextlib.suppress(OSError):
                    (twins / folder.name).rmdir()
            removed.append(folder)
        except OSError:
            pass
        finally:
            os.close(fd)
    return removed

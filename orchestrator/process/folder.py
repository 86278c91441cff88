"""Where QEMU's folders are made, and what a killed supervisor left of them."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

#: A snapshot of the tick guest takes a few MB; leave the rest of a tmpfs alone.
ROOM_BYTES = 128 * 1024 * 1024


PREFIX = "losttick-qemu-"


#: The supervisor puts it into each folder: nothing without it is ever removed.
MARKER = ".supervised"


def base_folder() -> Path:
    """Return a tmpfs with room, the user's own first; else the folder for temporary files."""
    for place in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):
        if place and os.access(place, os.W_OK | os.X_OK):
            fs = os.statvfs(place)
            if fs.f_bavail * fs.f_frsize >= ROOM_BYTES:
                return Path(place)
    return Path(tempfile.gettempdir())


def sweep(base: Path, tracefs: Path | None = None, older_than_s: float = 10) -> list[Path]:
    """Remove folders under `base` that no supervisor holds any more; return them.

    With each goes the trace instance of its name. A living supervisor keeps its
    folder locked; the age spares one that has only just been made.
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
            if tracefs:
                with contextlib.suppress(OSError):
                    (tracefs / "instances" / folder.name).rmdir()
            removed.append(folder)
        except OSError:
            pass
        finally:
            os.close(fd)
    return removed

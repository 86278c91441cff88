"""A control group of a test's own, where root can make one."""

import contextlib
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.needs import Need, lacking
from tests.support.processes import wait_until

_ROOT = Path("/sys/fs/cgroup")

#: Files of a limit in version 1 and in version 2.
_FILES = {
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "pids": ("pids.max", "pids.max"),
}


@dataclass(frozen=True)
class Group:
    """A control group with one limit."""

    folder: Path
    limit: Path

    def join(self) -> None:
        """Put the calling process into the group, with all that it will start."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def set(self, limit: int) -> None:
        """Change the limit."""
        self.limit.write_text(str(limit))

    def members(self) -> list[int]:
        """Return the processes in the group."""
        return [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]


def _limits_of(controller: str) -> Mapping[Path, str]:
    """Return where groups may be made, and the name of the limit's file there."""
    first, second = _FILES[controller]
    return {_ROOT / controller: first, _ROOT / "unified": second, _ROOT: second}


@contextlib.contextmanager
def control_group(controller: str, limit: int) -> Iterator[Group]:
    """Make a control group with a limit; nothing may be left in it at the end."""
    for parent, name in _limits_of(controller).items():
        folder = parent / f"losttick-test-{uuid.uuid4().hex}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            if (folder / name).exists():
                break
            folder.rmdir()
    else:
        lacking(Need.CGROUPS, f"no group with the controller {controller} can be made")
    group = Group(folder, folder / name)
    try:
        group.set(limit)
        yield group
        assert wait_until(lambda: not group.members(), 10), group.members()
    finally:
        folder.rmdir()

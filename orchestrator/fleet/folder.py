"""The folder of a fleet: the file it was begun with, its plan, its log and its runs."""

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.journal.out_folder import OutFolder
from orchestrator.journal.way import ForeignLinkError


@dataclass(frozen=True, slots=True)
class FleetFolder:
    """The places of things in a fleet's folder."""

    path: Path
    """The folder, as an absolute path."""

    @property
    def file(self) -> Path:
        """The fleet file as it was when the fleet began."""
        return self.path / "fleet.toml"

    @property
    def plan(self) -> Path:
        """The plan as it was when the fleet began.

        Hosts get this one, so a plan that is edited meanwhile changes no run.
        """
        return self.path / "plan.toml"

    @property
    def log(self) -> Path:
        """The log of what was seen of the tasks, a line of JSON each time."""
        return self.path / "fleet.jsonl"

    @property
    def scripts(self) -> Path:
        """The folder of what is given to the engine."""
        return self.path / "scripts"

    def run(self, task: str) -> Path:
        """Return the folder of a task's run: its journal and evidence."""
        return self.path / "runs" / task

    def output(self, task: str) -> Path:
        """Return the file with what losttick and the engine printed for a task."""
        return self.path / "output" / f"{task}.txt"

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[OutFolder]:
        """Hold a folder in it open, made if it is missing.

        Whose the fleet's folder may be was decided when its log was opened. If other users can
        write to it, they may have put links there: none of theirs is followed. A link of this user
        or of root is, as to a larger disk.

        Raises:
            OSError: it can't be made or opened, or a link of another user leads there.
        """
        with contextlib.ExitStack() as opened:
            fleet = opened.enter_context(OutFolder(self.path, make=True, shared=True))
            try:
                below = opened.enter_context(fleet.folder(name, linked=True))
            except ForeignLinkError as error:
                raise OSError(errno.ELOOP, str(error), str(self.path / name)) from error
            yield below

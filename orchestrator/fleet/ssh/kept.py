"""Facts kept in the fleet's folder, so that another `fleet resume` finds everything again."""

import contextlib
import re
import secrets
from typing import TypeVar

from pydantic import ConfigDict, ValidationError

from orchestrator.errors import InfraError
from orchestrator.fleet.folder import FleetFolder
from orchestrator.plan.strict import Strict

#: The folder of these files, in the fleet's.
_FOLDER = "ssh"

#: The name of a fleet on its hosts.
_ID = re.compile(r"[0-9a-f]{16}")

_Kind = TypeVar("_Kind", bound=Strict)


class KeptError(InfraError):
    """The fleet's folder can't be written to."""


class Home(Strict):
    """A host as it was before we booted it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    release: str
    """The kernel that it ran."""
    boot_id: str
    """The boot that we ended last."""


class _Over(Strict):
    exit_code: int
    why: str = ""


class Kept:
    """Small files in the folder of a fleet."""

    def __init__(self, folder: FleetFolder) -> None:
        """Open them; the fleet gets its id if it has none.

        Raises:
            KeptError: they can't be written.
        """
        self._folder, self._path = folder, folder.path / _FOLDER
        try:
            if not (self._path / "id").exists():
                self._write("id", secrets.token_hex(8))
            #: The name of this fleet on its hosts. Another fleet of the same folder has another.
            self.id = (self._path / "id").read_text("ascii", "replace")
        except OSError as error:
            raise KeptError(f"writing to {self._path}: {error.strerror}") from error
        if not _ID.fullmatch(self.id):  # it is a part of a path on each host
            raise KeptError(
                f"reading {self._path / 'id'}: it is not what losttick wrote. Begin another fleet"
            )

    def home(self, host: str) -> Home | None:
        """Return what a host was before we booted it; None if we did not, or it is so again."""
        return self._read(f"{host}.home", Home)

    def booted(self, host: str, release: str, boot_id: str) -> None:
        """Keep that we are about to boot a host.

        Args:
            host: its name.
            release: the kernel that it runs, which is home if no other one was before.
            boot_id: the boot that ends.
        """
        before = self.home(host)
        home = Home(release=before.release if before else release, boot_id=boot_id)
        self._write(f"{host}.home", home.model_dump_json())

    def is_home(self, host: str) -> None:
        """Keep that a host runs what it ran before us.

        Raises:
            KeptError: that can't be kept.
        """
        name = f"{host}.home"
        try:
            with self._folder.held(_FOLDER) as held, contextlib.suppress(FileNotFoundError):
                held.remove(name)
        except OSError as error:
            raise KeptError(f"removing {self._path / name}: {error.strerror}") from error

    def over(self, task: str) -> tuple[int, str] | None:
        """Return the exit code of a task whose run was brought, and words; None if it was not."""
        found = self._read(f"{task}.over", _Over)
        return (found.exit_code, found.why) if found else None

    def is_over(self, task: str, exit_code: int, why: str) -> None:
        """Keep that a task's run ended and was brought."""
        self._write(f"{task}.over", _Over(exit_code=exit_code, why=why).model_dump_json())

    def _write(self, name: str, text: str) -> None:
        try:
            with self._folder.held(_FOLDER) as held:
                held.replace(name, text)
        except OSError as error:
            raise KeptError(f"writing to {self._path / name}: {error.strerror}") from error

    def _read(self, name: str, kind: type[_Kind]) -> _Kind | None:
        try:
            return kind.model_validate_json((self._path / name).read_bytes())
        except (OSError, ValidationError):
            return None

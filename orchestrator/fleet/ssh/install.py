"""Installs losttick on a host from wheels that are brought there. The host needs no network."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.fleet.ssh.connection import Connection
from orchestrator.fleet.ssh.reply import FailedThereError, Installed
from orchestrator.fleet.ssh.upload import upload
from orchestrator.process.home import expanded

#: Seconds that a host may take to install.
_WITHIN_S = 1800

_NO_VENV = "ensurepip"


class WheelsError(InputError):
    """The folder of wheels can't be used."""


def wheels_of(base: Path, named: str) -> Mapping[str, Path]:
    """Return the wheels of a folder by their SHA-256.

    Args:
        base: the folder from which a relative path counts.
        named: the folder with the wheels.

    Raises:
        WheelsError: there are none, or none of losttick.
    """
    folder = base / expanded(named, "reading the wheels")
    try:
        found = sorted(folder.glob("*.whl"))
        wheels = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in found}
    except OSError as error:
        raise WheelsError(f"reading the wheels in {folder}: {error.strerror}") from error
    ours = [path.name for path in found if path.name.startswith("losttick-")]
    if len(ours) != 1:
        raise WheelsError(
            f"reading the wheels in {folder}: it has {len(ours)} wheels of losttick, not one. "
            "Make the folder anew with docs/ci/wheelhouse.sh"
        )
    return wheels


async def install(connection: Connection, folder: str, wheels: Mapping[str, Path]) -> Sequence[str]:
    """Install losttick on a host unless it is there; return the words that start it.

    Two fleets may install at once: the second waits for the first.

    Args:
        connection: to the host.
        folder: ours on the host.
        wheels: by SHA-256.

    Raises:
        HostError: the host went away.
        FailedThereError: the host can't install them.
        ReplyError: it answers what it should not.
    """
    named = [[path.name, sha] for sha, path in wheels.items()]
    part = f".{secrets.token_hex(4)}.part"
    for _ in range(2):
        try:
            reply = await connection.ask(
                "install", Installed, answer_s=_WITHIN_S, folder=folder, wheels=named, part=part
            )
        except FailedThereError as error:
            hint = ". On Debian, install python3-venv there" if _NO_VENV in str(error) else ""
            raise FailedThereError(f"installing losttick there: {error}{hint}") from error
        if reply.command:
            return reply.command
        for sha in reply.missing:
            if path := wheels.get(sha):
                await upload(connection, path, f"{folder}/wheels/{sha}/{path.name}{part}")
    raise FailedThereError("installing losttick there: what was brought is damaged")

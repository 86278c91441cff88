"""Brings files to a host, and names a full disk there."""

from pathlib import Path, PurePosixPath

from orchestrator.fleet.ssh.connection import Connection
from orchestrator.fleet.ssh.reply import FailedThereError
from orchestrator.fleet.ssh.still import given_up_if_still
from orchestrator.process.background import in_thread


async def upload(connection: Connection, local: Path, remote: str) -> None:
    """Bring a file to a host.

    Raises:
        HostError: the host went away, refuses it, or takes nothing.
        FailedThereError: it has no room.
    """
    import asyncssh

    folder = str(PurePosixPath(remote).parent)
    async with connection.sftp() as sftp:
        try:
            with given_up_if_still(connection, f"bringing {local.name} there") as did_something:
                await sftp.put(str(local), remote, progress_handler=lambda *_: did_something())
        except asyncssh.SFTPFailure:  # SFTP has no word for a full disk
            disk = await sftp.statvfs(folder)
            free, about = disk.bavail * disk.frsize, await in_thread(local.stat)
            if free > about.st_size and (disk.favail or not disk.files):
                raise
            raise FailedThereError(
                f"bringing {local.name} there: No space left on device: {folder} has {free:,} "
                f"bytes and {disk.favail:,} files left, and {about.st_size:,} bytes are needed"
            ) from None

"""A QEMU on this computer that somebody else started."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from orchestrator.host.cpus import Pins
from orchestrator.host.errors import NotOwnedError, QemuSocketError
from orchestrator.host.protocol import DUMP_FILE
from orchestrator.host.thread_times import ThreadTimes
from orchestrator.process.exit import ProcessExit
from orchestrator.process.folder import own_folder, temporary_folder
from orchestrator.process.held_folder import HeldFolder

#: `struct ucred`: process, user and group.
_CREDENTIALS = struct.Struct("3i")


class AttachedQemu(ThreadTimes):
    """A running QEMU. Made by `AttachedQemu.connect`."""

    tracer = None

    def __init__(self, qmp: socket.socket, consoles: Sequence[socket.socket]) -> None:
        self.qmp = qmp
        self.consoles = consoles
        self.pid, user, group = _CREDENTIALS.unpack(
            qmp.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        """The process that listens on the monitor's socket."""
        self.argv = _command_line(self.pid)
        self._pins = Pins()
        self._owned = contextlib.ExitStack()
        self._folder = self._owned.enter_context(own_folder(temporary_folder()))
        if user != os.geteuid():
            with contextlib.suppress(OSError):  # only root may; else QEMU reports what it lacks
                os.chown(self._folder, user, group)
        self._held = HeldFolder(self._folder)
        self.dump_file = str(self._folder / DUMP_FILE)
        """In a folder of losttick's: QEMU's working folder is its owner's."""

    @classmethod
    def connect(cls, qmp: str, consoles: Sequence[str]) -> "AttachedQemu":
        """Connect to the sockets of a running QEMU; see `AttachingHost.attach_qemu`."""
        with contextlib.ExitStack() as failing:
            streams = [failing.enter_context(_connected(path)) for path in (qmp, *consoles)]
            attached = cls(streams[0], streams[1:])
            failing.pop_all()
        return attached

    async def pin(self, thread_id: int, cpu: int | None = None) -> int | None:
        """Pin a vCPU thread until `release`; see `QemuProcess.pin`."""
        return self._pins.pin(thread_id, cpu)

    async def read_file(self, name: str) -> bytes:
        """Return a file that QEMU was asked to write into losttick's folder.

        Raises:
            OSError: it can't be read, or is no regular file.
        """
        return await asyncio.to_thread(self._held.read, name)

    async def exited(self) -> ProcessExit:
        """Raise NotOwnedError: only the process that started QEMU learns how it ended."""
        raise NotOwnedError("waiting for QEMU's end")

    async def kill(self) -> ProcessExit:
        """Raise NotOwnedError."""
        raise NotOwnedError("ending QEMU")

    async def release(self) -> None:
        """Undo the pinning, and remove the folder."""
        self._pins.undo()
        self._held.close()
        self._owned.close()


def _connected(path: str) -> socket.socket:
    """Return a socket that is connected to a path. Does not block.

    Raises:
        QemuSocketError: nobody listens there, or too many wait for QEMU already.
    """
    stream = socket.socket(socket.AF_UNIX)
    try:
        stream.setblocking(False)
        stream.connect(path)
    except OSError as error:
        stream.close()
        raise QemuSocketError(f"connecting to {path}: {error.strerror or error}") from error
    return stream


def _command_line(pid: int) -> list[str]:
    """Return the command line of a process; empty if it cannot be read."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).rstrip("\0").split("\0")
    except OSError:
        return []

"""adb, as far as a test of the emulator needs it."""

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import LosttickError
from orchestrator.process.background import in_thread
from orchestrator.process.tool import run_tool

#: The port on which adb's server listens, unless a variable names another one.
_SERVER_PORT = 5037

#: How long a device may take to answer. adb may list it as offline for a while after a load.
ANSWER_S = 10.0


class Adb:
    """adb for one emulator. `close` ends adb's server, if no server ran before."""

    def __init__(self, path: Path, serial: str) -> None:
        self.path = path
        self._serial = serial
        self._found_server = _server_runs()
        self._used = False

    async def shell(self, *command: str, within_s: float = ANSWER_S) -> str | None:
        """Return what a command prints on the device; None if adb or the device does not answer."""
        self._used = True
        return await _run([str(self.path), "-s", self._serial, "shell", *command], within_s)

    async def booted(self) -> bool:
        """Return whether Android says that it has booted."""
        said = await self.shell("getprop", "sys.boot_completed")
        return said is not None and said.strip() == "1"

    async def uptime_s(self) -> float | None:
        """Return the guest's own uptime in seconds; None if the device does not say."""
        words = (await self.shell("cat", "/proc/uptime") or "").split()
        try:
            return float(words[0]) if words else None
        except ValueError:
            return None

    async def close(self) -> None:
        """End adb's server, if it was this object that started it."""
        if self._used and not self._found_server:
            await _run([str(self.path), "kill-server"], ANSWER_S)


async def _run(command: Sequence[str], within_s: float) -> str | None:
    try:
        async with asyncio.timeout(within_s):
            return await in_thread(run_tool, command, "asking adb")
    except (TimeoutError, LosttickError):
        return None


def _server_runs() -> bool:
    named = os.environ.get("ANDROID_ADB_SERVER_PORT", "")
    port = int(named) if named.isdecimal() and int(named) < 65536 else _SERVER_PORT
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex(("127.0.0.1", port)) == 0

"""The emulator's console: a client with a deadline on every command.

After a missed deadline nobody knows whether the command ran, and its late answer could be taken
for the next one's: the connection is closed then, and only a new one can be used.
"""

import asyncio
import contextlib
import dataclasses
import os
from pathlib import Path

from orchestrator.android.errors import (
    ConsoleClosedError,
    ConsoleError,
    ConsoleTimeoutError,
    NoConsoleError,
    RefusedError,
    WrongTokenError,
)
from orchestrator.android.replies import (
    MOST_BYTES,
    Reply,
    checked_tag,
    heartbeat,
    snapshots,
    whole_reply,
)

#: The file with the authentication token, in the user's home. Empty: the console needs none.
TOKEN_FILE = ".emulator_console_auth_token"

#: How long the console says nothing more after a refusal before the refusal counts as whole.
_SETTLE_S = 0.3

#: Largest token file that is read. The emulator's own token has 16 characters.
_TOKEN_BYTES = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Times:
    """How long each kind of command may take, in seconds."""

    command_s: float = 10.0
    """A command that the emulator answers at once."""
    state_s: float = 120.0
    """A save, a load, or the removal of a snapshot. The memory of a phone is some GiB."""


def token_file() -> Path:
    """Return the path of the user's token file."""
    return Path(os.environ.get("HOME", "/")) / TOKEN_FILE


class Console:
    """A connected and authenticated console. Made by `Console.connect`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, times: Times
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._times = times
        self._broken: ConsoleError | None = None

    @classmethod
    async def connect(
        cls,
        port: int,
        token: Path | None = None,
        times: Times = Times(),  # frozen
    ) -> "Console":
        """Connect to an emulator on this computer, and authenticate.

        Args:
            port: the console's port.
            token: the file with the token; by default the user's.
            times: the deadlines.

        Raises:
            NoConsoleError: nobody listens at the port.
            WrongTokenError: the token is refused or can't be read.
            ConsoleError: the console says something else.
        """
        what = f"connect to port {port}"
        try:
            async with asyncio.timeout(times.command_s):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MOST_BYTES)
        except TimeoutError:
            raise NoConsoleError(what, f"no connection in {times.command_s:g} s") from None
        except OSError as error:
            raise NoConsoleError(what, error.strerror or str(error)) from error
        console = cls(reader, writer, times)
        try:
            greeting = await console._reply("greeting", times.command_s)
            if any("Authentication required" in line for line in greeting.lines):
                await console._authenticate(token or token_file())
            elif not any("Android Console" in line for line in greeting.lines):
                raise ConsoleError("greeting", f"port {port} is no emulator's console")
        except BaseException:
            await console.close()
            raise
        return console

    async def _authenticate(self, file: Path) -> None:
        try:
            words = await asyncio.to_thread(_read_token, file)
        except OSError as error:
            raise WrongTokenError(
                f"it needs the token in {file}, which can't be read: {error.strerror}"
            ) from error
        try:
            await self._ask(f"auth {words}", "auth", self._times.command_s)
        except RefusedError as error:
            raise WrongTokenError(f"it refuses the token in {file} ({error.reason})") from error

    async def ask(self, command: str, within_s: float | None = None) -> tuple[str, ...]:
        """Run a command and return the lines of its answer.

        Args:
            command: one line.
            within_s: the deadline; `Times.command_s` by default.

        Raises:
            RefusedError: the console answered `KO:`.
            ConsoleTimeoutError: no answer came in time.
            ConsoleClosedError: the connection ended.
        """
        return await self._ask(command, command, within_s or self._times.command_s)

    async def _ask(self, line: str, shown: str, within_s: float) -> tuple[str, ...]:
        if self._broken:
            raise self._broken
        self._writer.write(line.encode() + b"\r\n")
        reply = await self._reply(shown, within_s)
        if reply.refusal is not None:
            raise RefusedError(shown, reply.refusal)
        return reply.lines

    async def _reply(self, command: str, within_s: float) -> Reply:
        received, silent = b"", False
        try:
            async with asyncio.timeout(within_s):
                while True:
                    if reply := whole_reply(received, silent=silent):
                        return reply
                    more = await self._more(begun=b"KO:" in received)
                    silent = more is None
                    received = (received + (more or b""))[-MOST_BYTES:]
        except TimeoutError:
            self._broken = ConsoleTimeoutError(command, f"no answer in {within_s:g} s")
        except EOFError:
            self._broken = ConsoleClosedError(command, "the emulator closed the connection")
        except OSError as error:
            self._broken = ConsoleClosedError(command, error.strerror or str(error))
        self._writer.close()
        raise self._broken

    async def _more(self, *, begun: bool) -> bytes | None:
        """Return what arrives next; None if a refusal has begun and nothing more comes.

        Raises:
            EOFError: the connection ended.
        """
        try:
            async with asyncio.timeout(_SETTLE_S if begun else None):
                data = await self._reader.read(4096)
        except TimeoutError:
            return None
        if not data:
            raise EOFError
        return data

    async def heartbeat(self) -> int:
        """Return how often Android's own heartbeat has come since the emulator's start.

        Raises:
            ConsoleError: the console does not say.
        """
        beats = heartbeat(await self.ask("avd heartbeat"))
        if beats is None:
            raise ConsoleError("avd heartbeat", "the answer has no number")
        return beats

    async def has(self, tag: str) -> bool:
        """Return whether a snapshot is there."""
        return snapshots(await self.ask("avd snapshot list", self._times.state_s), tag)

    async def save(self, tag: str) -> None:
        """Save a snapshot under a name of losttick's own."""
        await self.ask(f"avd snapshot save {checked_tag(tag)}", self._times.state_s)

    async def load(self, tag: str) -> None:
        """Load a snapshot of losttick's own. The guest runs on by itself."""
        await self.ask(f"avd snapshot load {checked_tag(tag)}", self._times.state_s)

    async def delete(self, tag: str) -> None:
        """Delete a snapshot of losttick's own."""
        await self.ask(f"avd snapshot delete {checked_tag(tag)}", self._times.state_s)

    async def stopped(self) -> bool:
        """Return whether the emulator has stopped its guest."""
        return any("stopped" in line for line in await self.ask("avd status"))

    async def end(self) -> None:
        """Ask the emulator to end. It may close the connection before it answers."""
        with contextlib.suppress(ConsoleClosedError):
            await self.ask("kill")

    async def close(self) -> None:
        """Disconnect."""
        self._broken = self._broken or ConsoleClosedError("close", "losttick closed it")
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()


def _read_token(file: Path) -> str:
    """Return the token in a file: one word.

    Raises:
        OSError: the file can't be read.
    """
    with file.open("rb") as opened:
        words = opened.read(_TOKEN_BYTES).decode(errors="replace").split()
    return words[0] if words else ""

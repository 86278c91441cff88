"""A console of the guest, on which a line of the user's choice shows that the guest is alive."""

import asyncio
import contextlib
import os
import re
import socket
import stat
from collections.abc import AsyncIterator

from orchestrator.attached.errors import TargetError
from orchestrator.clock import Clock

#: Longest part of a line that is looked at, in bytes. A guest can print a line without an end.
MOST_LINE = 4096

#: Time between two reads of a file, which nobody announces.
_POLL_NS = 20_000_000


class AliveLines:
    """Counts the lines that match. Made by `listening`."""

    def __init__(self, pattern: re.Pattern[str], clock: Clock) -> None:
        self._pattern = pattern
        self._clock = clock
        self._line = b""
        self._came = asyncio.Event()
        self.ended = False
        """True if the console has ended."""

    def feed(self, data: bytes) -> None:
        """Take what the guest printed."""
        *lines, rest = (self._line + data).split(b"\n")
        self._line = rest[:MOST_LINE]
        for line in lines:
            if self._pattern.search(line[:MOST_LINE].decode(errors="replace")):
                self._came.set()

    def end(self) -> None:
        """Note that the console has ended."""
        self.ended = True

    def forget(self) -> None:
        """Forget all that came so far, also the beginning of a line."""
        self._line = b""
        self._came.clear()

    async def came(self, within_ns: int) -> bool:
        """Wait for a line that matches, and that came since `forget`."""
        with contextlib.suppress(TimeoutError):
            async with self._clock.deadline(within_ns):
                await self._came.wait()
        return self._came.is_set()


@contextlib.asynccontextmanager
async def listening(path: str, pattern: str, clock: Clock) -> AsyncIterator[AliveLines]:
    """Listen to a console: a Unix socket, a PTY, or a file that QEMU writes.

    Args:
        path: the console.
        pattern: regular expression of a line that only a living guest prints.
        clock: the host's clock.

    Raises:
        TargetError: the console can't be read, or the pattern is no regular expression.
    """
    doing = f"listening to the console {path}"
    try:
        lines = AliveLines(re.compile(pattern), clock)
    except re.error as error:
        raise TargetError(f"--alive: {pattern!r} is no regular expression: {error}") from error
    try:
        kind = os.stat(path).st_mode  # noqa: PTH116  # ruff forbids Path.stat here, too
        fd = _connect(path) if stat.S_ISSOCK(kind) else os.open(path, _HOW)
    except (OSError, ValueError) as error:
        seen = error.strerror if isinstance(error, OSError) else str(error)
        raise TargetError(f"{doing}: {seen}") from error
    try:
        if stat.S_ISREG(kind):
            os.lseek(fd, 0, os.SEEK_END)
            reader = asyncio.create_task(_follow(fd, lines, clock))
            yield lines
            reader.cancel()
        else:
            loop = asyncio.get_running_loop()
            loop.add_reader(fd, _read, fd, lines, loop)
            try:
                yield lines
            finally:
                loop.remove_reader(fd)
    finally:
        os.close(fd)


#: How a PTY or a file is opened: it must become nobody's terminal.
_HOW = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def _connect(path: str) -> int:
    with socket.socket(socket.AF_UNIX) as stream:
        stream.setblocking(False)
        stream.connect(path)
        return stream.detach()


def _read(fd: int, lines: AliveLines, loop: asyncio.AbstractEventLoop) -> None:
    try:
        data = os.read(fd, 65536)
    except BlockingIOError:
        return
    except OSError:  # a PTY whose QEMU has gone
        data = b""
    if data:
        lines.feed(data)
    else:
        lines.end()
        loop.remove_reader(fd)


async def _follow(fd: int, lines: AliveLines, clock: Clock) -> None:
    """Read what is added to a file."""
    while True:
        while data := os.read(fd, 65536):
            lines.feed(data)
        await clock.sleep(_POLL_NS)

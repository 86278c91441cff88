"""The lines that a program prints, for whoever reads them as they come."""

import asyncio
import collections
from collections.abc import AsyncIterator

#: Pieces of output that are kept until somebody reads them; a piece has at most 4 KiB.
_PIECES = 1024

#: Length at which a line is cut.
_LINE_BYTES = 65536


class Output:
    """The output of a running program. Only the latest waits for a reader that is slow."""

    def __init__(self) -> None:
        self._pieces: collections.deque[bytes] = collections.deque(maxlen=_PIECES)
        self._came = asyncio.Event()
        self._ended = False

    def hear(self, piece: bytes) -> None:
        """Take what the program has printed."""
        self._pieces.append(piece)
        self._came.set()

    def end(self) -> None:
        """Note that nothing more will come."""
        self._ended = True
        self._came.set()

    async def lines(self) -> AsyncIterator[str]:
        """Yield each whole line, until the program has ended.

        The wait for the next has no limit: whoever reads them sets one.
        """
        text = b""
        while self._pieces or not self._ended:
            if not self._pieces:
                self._came.clear()
                await self._came.wait()
                continue
            *lines, text = (text + self._pieces.popleft()).split(b"\n")
            if len(text) > _LINE_BYTES:  # no program of losttick's prints as long a line
                lines, text = [*lines, text], b""
            for line in lines:
                yield line.decode(errors="replace")

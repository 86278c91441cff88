"""Cleans up an emulator if losttick cannot. Run as a process of its own.

losttick holds the other end of a pipe. When losttick has left everything as it should be, it
writes a byte, and the guard ends. When losttick ends without that byte, however it ended, the
guard deletes losttick's snapshot, and asks an emulator that losttick started to end. The guard
inherits that emulator's lifeline, so that the emulator is not killed before.

Usage: python -m orchestrator.android.guard PIPE_FD PORT TAG keep|end
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from orchestrator.android.console import Console, Times
from orchestrator.android.emulator import LOOK_S, Emulator
from orchestrator.android.errors import RefusedError
from orchestrator.errors import LosttickError
from orchestrator.process.successor import Successor

#: Longest time that the guard may take for the snapshot, and for the emulator's end, in seconds.
_DELETE_S, _END_S = 30.0, 10.0

#: How long losttick waits for its guard to do so.
PATIENCE_S = _DELETE_S + _END_S + 5.0

#: The folder that has the package, for a process that does not inherit losttick's search path.
_PACKAGES = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def guarded(emulator: Emulator, tag: str) -> AsyncIterator[None]:
    """Have a guard ready while this context lasts. An error that ends the context calls it.

    Args:
        emulator: an emulator that runs, or has just been started.
        tag: the only snapshot that losttick makes; it must be gone when the context ends.
    """
    end = "end" if emulator.owned else "keep"
    successor = await Successor.start(
        ("-P", "-m", "orchestrator.android.guard"),
        (str(emulator.port), tag, end),
        pass_fds=emulator.lifelines,
        environment={**os.environ, "PYTHONPATH": _search_path()},
        quiet=True,
    )
    try:
        yield
    except BaseException:
        try:
            done = await successor.take_over(PATIENCE_S) == 0
        except TimeoutError:
            done = False
        if not done:  # somebody killed or stopped it
            await clean_up(emulator.port, tag, end=emulator.owned)
        raise
    await successor.release()


def _search_path() -> str:
    before = os.environ.get("PYTHONPATH")
    return f"{_PACKAGES}{os.pathsep}{before}" if before else str(_PACKAGES)


async def clean_up(port: int, tag: str, *, end: bool) -> None:
    """Delete a snapshot, and end the emulator if `end`. An emulator that is gone is left alone."""
    with contextlib.suppress(LosttickError, TimeoutError, OSError):
        async with asyncio.timeout(_DELETE_S + _END_S):
            console = await Console.connect(port, times=Times(_DELETE_S, _DELETE_S))
            try:
                with contextlib.suppress(RefusedError):  # there is none
                    await console.delete(tag)
                if end:
                    await console.end()
                    await _ended(port)
            finally:
                await console.close()


async def _ended(port: int) -> None:
    """Wait until nobody listens at a port."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_END_S):
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await asyncio.sleep(LOOK_S)


def main() -> None:
    """Wait for losttick's word or end, and clean up if there is no word."""
    pipe, port, tag, what = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    if not os.read(pipe, 1):
        asyncio.run(clean_up(port, tag, end=what == "end"))


if __name__ == "__main__":
    main()

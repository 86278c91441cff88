"""A host that lives, and moves no byte of a file."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from orchestrator.fleet.ssh.connection import HostError

#: Seconds that a host may take to open a file, and to give or take a part of it.
BLOCK_S = 120.0


class Abortable(Protocol):
    """A connection."""

    def abort(self) -> None:
        """End it at once."""


@contextlib.contextmanager
def given_up_if_still(connection: Abortable, doing: str) -> Iterator[Callable[[], None]]:
    """Abort a connection whose host does nothing for `BLOCK_S`.

    Nothing less helps: asyncssh waits for the host even where its work is cancelled. Gives a
    function to call whenever the host did something.

    Raises:
        HostError: the host did nothing for so long.
    """
    still = False

    def abort() -> None:
        nonlocal still
        still = True
        connection.abort()

    loop = asyncio.get_running_loop()
    timer = loop.call_later(BLOCK_S, abort)

    def did_something() -> None:
        nonlocal timer
        timer.cancel()
        timer = loop.call_later(BLOCK_S, abort)

    try:
        yield did_something
    except Exception as error:
        if not still:
            raise
        raise HostError(
            f"{doing}: the host did nothing for {BLOCK_S:g} s. Is its disk well?"
        ) from error
    finally:
        timer.cancel()

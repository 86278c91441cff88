"""The computer as several hosts, one for each QEMU binary that a plan names."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.errors import Lack, LosttickError, UnfitError
from orchestrator.host.errors import NoQemuError, NotQemuError
from orchestrator.host.local import LocalHost, open_host
from orchestrator.host.qemu_binary import DEFAULT_QEMU


class QemuMissingError(UnfitError):
    """One of several QEMU binaries is not there."""

    lacks = Lack.QEMU


class LocalQemus:
    """Local hosts by the name of their QEMU. Each binary is asked once what it is."""

    def __init__(
        self,
        names: Sequence[str],
        deadlines: Deadlines = DEFAULT_DEADLINES,
        qemu_user: str | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Note the names; nothing is started.

        Args:
            names: paths, or names on PATH.
            deadlines: how long each kind of step may take.
            qemu_user: the user as whom the QEMUs run; see `open_host`.
            say: is told, once for each reason, that a QEMU runs as root though nobody asked for
                it.
        """
        self.names = tuple(dict.fromkeys(names))
        self._deadlines = deadlines
        self._user = qemu_user
        self._say = say
        self._said: set[str] = set()
        self._open = contextlib.AsyncExitStack()
        self._hosts: dict[str, asyncio.Task[LocalHost]] = {}

    async def __aenter__(self) -> "LocalQemus":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every host."""
        for opening in self._hosts.values():
            opening.cancel()
        await asyncio.gather(*self._hosts.values(), return_exceptions=True)
        await self._open.aclose()

    async def host(self, name: str) -> LocalHost:
        """Return the host with the named QEMU.

        Raises:
            NotQemuError: the named QEMU is not there.
            NoQemuError: QEMU is not installed.
            QemuUserError: QEMU can't run as the user who was named.
            QemuStartError: the binary does not start, or is not QEMU.
        """
        if name not in self._hosts:
            self._hosts[name] = asyncio.create_task(self._opened(name))
        return await asyncio.shield(self._hosts[name])

    async def _opened(self, name: str) -> LocalHost:
        opening = open_host(
            None if name == DEFAULT_QEMU else name,
            deadlines=self._deadlines,
            qemu_user=self._user,
        )
        host = await self._open.enter_async_context(opening)
        if (note := host.user.note) and note not in self._said:
            self._said.add(note)
            self._say(note)
        return host

    async def first(self) -> LocalHost:
        """Return the host of the first QEMU that is there and answers.

        Raises:
            LosttickError: none does; the error of the first.
        """
        errors = []
        for name in self.names:
            try:
                return await self.host(name)
            except LosttickError as error:
                errors.append(error)
        raise errors[0]

    def opener(self, name: str) -> Callable[[], contextlib.AbstractAsyncContextManager[LocalHost]]:
        """Return a function that gives a cell its host.

        The function raises QemuMissingError if the binary is not there, so that the cell is
        skipped.
        """

        @contextlib.asynccontextmanager
        async def open_named() -> AsyncIterator[LocalHost]:
            try:
                host = await self.host(name)
            except (NotQemuError, NoQemuError) as error:  # a user's mistake, were it the only one
                raise QemuMissingError(str(error)) from error
            yield host

        return open_named

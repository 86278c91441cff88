"""The machine itself, once for each QEMU binary that a plan names."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from orchestrator.errors import LosttickError, UnfitError
from orchestrator.host.local import LocalHost
from orchestrator.host.qemu_binary import DEFAULT_QEMU, NotQemuError, probe_qemu


class QemuMissingError(UnfitError):
    """One of several QEMU binaries is not there."""


class LocalQemus:
    """Local hosts by their QEMU; each binary is looked for and asked what it is once."""

    def __init__(self, names: Sequence[str]) -> None:
        """Note what a plan names; nothing is started.

        Args:
            names: paths, or names on PATH.
        """
        self.names = tuple(dict.fromkeys(names))
        self._hosts: dict[str, asyncio.Task[LocalHost]] = {}

    async def host(self, name: str) -> LocalHost:
        """Return the host with that QEMU.

        Raises:
            NotQemuError, NoQemuError: it is not there.
            QemuStartError: it does not start, or is not QEMU.
        """
        if name not in self._hosts:
            self._hosts[name] = asyncio.create_task(_probed(name))
        return await asyncio.shield(self._hosts[name])

    async def first(self) -> LocalHost:
        """Return the host of the first QEMU that can be had.

        Raises:
            LosttickError: none can; what came of the first.
        """
        errors = []
        for name in self.names:
            try:
                return await self.host(name)
            except LosttickError as error:
                errors.append(error)
        raise errors[0]

    def opener(
        self, name: str
    ) -> "Callable[[], contextlib.AbstractAsyncContextManager[LocalHost]]":
        """Return what gives a cell its host.

        It raises QemuMissingError where the binary is not there: its cells are skipped.
        """

        @contextlib.asynccontextmanager
        async def open_host() -> AsyncIterator[LocalHost]:
            try:
                host = await self.host(name)
            except NotQemuError as error:  # a user's mistake, were it the only one
                raise QemuMissingError(str(error)) from error
            yield host

        return open_host


async def _probed(name: str) -> LocalHost:
    host = LocalHost(None if name == DEFAULT_QEMU else name)
    await host.facts(await probe_qemu(host))
    return host

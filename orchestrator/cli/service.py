"""Tells systemd how a run goes, if losttick is a service of `Type=notify`.

The protocol is that of sd_notify(3): datagrams to the socket that NOTIFY_SOCKET names.
"""

import asyncio
import contextlib
import functools
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from orchestrator.campaign.events import Progress
from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.cell import Cell
from orchestrator.results.printable import printable
from orchestrator.verdict.verdict import Verdict

#: Least time between two reports of progress.
_STATUS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """The service manager that started losttick, if one did that wants to hear of it."""

    address: str | None = None
    """The address of its socket. A name that begins with @ is not in the file system."""
    watchdog_s: float | None = None
    """It ends losttick if it hears nothing for this long."""

    def tell(self, *assignments: str) -> None:
        """Send `NAME=value` lines. A manager that is gone or busy is no trouble."""
        if self.address is None:
            return
        place = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with (
            contextlib.suppress(OSError, ValueError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender,
        ):
            sender.sendto("\n".join(assignments).encode(errors="replace"), place)

    def status(self, text: str) -> None:
        """Say what is going on, in a line that `systemctl status` shows."""
        self.tell("STATUS=" + printable(text).replace("\n", " "))

    def stopping(self) -> None:
        """Say that losttick is about to end."""
        self.tell("STOPPING=1", "STATUS=ending; the journal can be resumed")

    async def sign_of_life(self) -> None:
        """Tell the watchdog that the event loop runs, until this task is cancelled."""
        while self.watchdog_s is not None:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)


@functools.cache
def service() -> Service:
    """Return the service manager. Programs that losttick starts do not see its variables."""
    address = os.environ.pop("NOTIFY_SOCKET", None)
    usec, pid = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
    watched = usec.isdecimal() and int(usec) > 0 and pid in ("", str(os.getpid()))
    return Service(address or None, int(usec) / 1e6 if watched else None)


@contextlib.asynccontextmanager
async def as_service() -> AsyncIterator[None]:
    """Tell the service manager that losttick is ready, that it lives, and that it ends."""
    manager = service()
    manager.tell("READY=1", "STATUS=starting")
    life = asyncio.create_task(manager.sign_of_life())
    try:
        yield
    finally:
        life.cancel()
        manager.stopping()


class _Status:
    """Tells the service manager how far a run is, and passes each step on."""

    def __init__(self, then: Progress) -> None:
        self._then = then
        self._cells = self._ended = 0
        self._told_s = -_STATUS_EVERY_S

    def run_begins(self, cells: Sequence[Cell], planned: int) -> None:
        """Note the number of cells."""
        self._cells = len(cells)
        service().status(f"{len(cells)} cells of {planned} trials")
        self._then.run_begins(cells, planned)

    def noted(self, text: str) -> None:
        """Tell what a person should know."""
        service().status(text)
        self._then.noted(text)

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Pass it on."""
        self._then.cell_begins(cell, planned)

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        """Tell the verdict of a cell."""
        self._ended += 1
        service().status(f"{self._ended} of {self._cells} cells done; {cell.id}: {verdict}")
        self._then.cell_ends(cell, verdict, why)

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Pass it on."""
        self._then.control_seen(cell, seen)

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Tell now and then how far the cell is."""
        if time.monotonic() - self._told_s >= _STATUS_EVERY_S:
            self._told_s = time.monotonic()
            service().status(
                f"{self._ended} of {self._cells} cells done; {cell.id}: {done} of {planned} trials"
            )
        self._then.attempt_ends(cell, outcome, done, planned)

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Pass it on."""
        self._then.diagnosed(cell, diagnosis)


def with_status(progress: Progress) -> Progress:
    """Return a progress that tells the service manager as well, if there is one."""
    return _Status(progress) if service().address else progress

"""A running emulator: one that losttick starts, or one that it attaches to."""

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.android.console import Console, Times
from orchestrator.android.errors import (
    ConsoleClosedError,
    EmulatorDiedError,
    EmulatorStartError,
    NoConsoleError,
)
from orchestrator.android.running import Running
from orchestrator.process.exit import ProcessExit
from orchestrator.process.folder import base_folder
from orchestrator.process.supervised import ProcessStartError, Supervised, supervise

T = TypeVar("T")

#: The consoles' ports at which adb looks for emulators by itself; adb's own port follows each.
PORTS = range(5554, 5586, 2)

#: Socket of QEMU's monitor, in the emulator's own folder.
QMP = "qmp"

#: Starts the emulator's program with the monitor's path, which only the new folder's shell knows.
#: The option is in the old syntax, which QEMU 2.12 and the newest take.
_WITH_MONITOR = f'exec "$@" -qmp "unix:$PWD/{QMP},server,nowait"'

#: How long an emulator may take to end by itself, and how long its end may take to be noticed.
_END_S, _NOTICED_S = 15.0, 2.0

#: Pause between two looks at something that announces nothing, in seconds.
LOOK_S = 0.5


@dataclass(slots=True)
class Emulator:
    """An emulator. Made by `started` and `attached`."""

    avd: str
    port: int
    """The console's port."""
    qmp: Path | None
    """The Unix socket of QEMU's monitor; None if it has none."""
    exited: Callable[[], Coroutine[Any, Any, ProcessExit | None]]
    """Waits for its end; returns how it ended, if that can be known."""
    owned: bool
    """True if losttick started it, and ends it."""
    pid: int | None = None
    """The process of its QEMU, if that is known."""
    lifelines: Sequence[int] = ()
    """Descriptors that keep it alive in whatever process inherits them."""
    times: Times = field(default_factory=Times)

    @property
    def serial(self) -> str:
        """Its name for adb."""
        return f"emulator-{self.port}"

    async def console(self) -> Console:
        """Return a new connection to its console; see `Console.connect`."""
        return await Console.connect(self.port, times=self.times)

    async def while_it_runs(self, doing: str, work: Coroutine[Any, Any, T]) -> T:
        """Return what some work returns, unless the emulator ends before.

        Args:
            doing: what the work is, for the error's message.
            work: what to do; it is cancelled if the emulator ends.

        Raises:
            EmulatorDiedError: the emulator ended.
        """
        task, end = asyncio.ensure_future(work), asyncio.ensure_future(self.exited())
        try:
            await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise EmulatorDiedError(doing, end.result())
            try:
                return task.result()
            except ConsoleClosedError as error:
                if not (await asyncio.wait({end}, timeout=_NOTICED_S))[0]:
                    raise
                raise EmulatorDiedError(doing, end.result()) from error
        finally:
            await _cancel(task, end)


async def _cancel(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to start."""

    program: Path
    """The program `emulator`."""
    avd: str
    args: tuple[str, ...] = ()
    """Further options of the emulator."""
    qemu_args: tuple[str, ...] = ()
    """Options of its QEMU, which follow `-qemu`."""


def command_line(wanted: Wanted, port: int) -> list[str]:
    """Return the command that starts an emulator without a window and without any snapshot.

    `-no-snapshot` neither loads nor saves the snapshot of quick boot, and keeps the guest's memory
    out of a file that quick boot shares.
    """
    return [
        str(wanted.program), "-avd", wanted.avd,
        "-no-window", "-no-audio", "-no-boot-anim", "-gpu", "swiftshader_indirect",
        "-no-snapshot", "-ports", f"{port},{port + 1}", *wanted.args,
        "-qemu", *wanted.qemu_args,
    ]  # fmt: skip


@contextlib.asynccontextmanager
async def started(wanted: Wanted, times: Times) -> AsyncIterator[Emulator]:
    """Start an emulator that ends with this context, and with losttick, however that ends.

    Raises:
        EmulatorStartError: it could not be run, or there is no port for it.
    """
    if "," in str(place := base_folder()):
        raise EmulatorStartError(
            f"the folder for run-time files, {place}, has a comma in its name, which an option of "
            "QEMU can't have. Let XDG_RUNTIME_DIR name another one."
        )
    port = _free_port()
    argv = ["/bin/sh", "-c", _WITH_MONITOR, "sh", *command_line(wanted, port)]
    try:
        program = await supervise(argv, {}, what="the emulator")
    except ProcessStartError as error:
        raise EmulatorStartError(error.seen, error.end) from error
    emulator = Emulator(
        wanted.avd, port, program.folder / QMP, program.exited, owned=True,
        lifelines=(program.lifeline,), times=times,
    )  # fmt: skip
    try:
        yield emulator
        await _end(emulator, program)
    finally:
        await program.kill()


async def _end(emulator: Emulator, program: Supervised) -> None:
    """Let the emulator end by itself, so that the virtual device's disks are closed in order."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_END_S):
            console = await emulator.console()
            try:
                await console.end()
            finally:
                await console.close()
            await program.exited()


@contextlib.asynccontextmanager
async def attached(found: Running, times: Times) -> AsyncIterator[Emulator]:
    """Give an emulator that somebody else started. It outlives this context.

    Raises:
        EmulatorDiedError: it has ended meanwhile.
    """
    try:
        pidfd = os.pidfd_open(found.pid)
    except OSError as error:
        raise EmulatorDiedError("attaching to the emulator") from error
    ended = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def over() -> None:
        loop.remove_reader(pidfd)
        ended.set_result(None)

    async def exited() -> ProcessExit | None:
        await asyncio.shield(ended)
        return None

    loop.add_reader(pidfd, over)
    qmp = Path(found.qmp) if found.qmp else None
    try:
        yield Emulator(found.avd, found.port, qmp, exited, owned=False, pid=found.pid, times=times)
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        ended.cancel()


def _free_port() -> int:
    """Return a console's port that is free, and whose next one is, too.

    Raises:
        EmulatorStartError: there is none.
    """
    free = [port for port in PORTS if _is_free(port) and _is_free(port + 1)]
    if not free:
        raise EmulatorStartError(
            f"all ports from {PORTS[0]} to {PORTS[-1] + 1} are taken. End an emulator that runs."
        )
    return random.choice(free)


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def connected(emulator: Emulator) -> Console:
    """Wait until the console of an emulator that has just been started answers; return it."""
    while True:
        try:
            return await emulator.console()
        except (NoConsoleError, ConsoleClosedError):
            await asyncio.sleep(LOOK_S)

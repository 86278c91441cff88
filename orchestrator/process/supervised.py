"""A program that cannot outlive losttick: a supervisor runs it in a folder of its own."""

import asyncio
import collections
import contextlib
import functools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from orchestrator.errors import InfraError, says_no_room
from orchestrator.process import folder, supervisor
from orchestrator.process.exit import ProcessExit
from orchestrator.process.held_folder import HeldFolder
from orchestrator.process.user import RunAs

#: Chunks of the program's output that are kept, for an error message.
OUTPUT_CHUNKS = 40

#: How long a supervisor may take to end a program. One that somebody stopped takes for ever.
END_S = 2.0


class ProcessStartError(InfraError):
    """A program could not be started."""

    def __init__(self, what: str, seen: str, end: ProcessExit | None = None) -> None:
        self.seen = seen
        self.end = end
        """How the program or its supervisor ended, if either ran."""
        super().__init__(f"starting {what}: {seen}" + (f": {end}" if end else ""))

    @property
    def transient(self) -> bool:
        """True if the host had no room for it at the moment."""
        return says_no_room(str(self))


@contextlib.asynccontextmanager
async def _reading(pipe: int) -> AsyncIterator[asyncio.StreamReader]:
    """Read from a pipe, and close it in the end.

    A pipe that asyncio makes for a process is closed at that process's end only. If nobody can
    wait for that, Python before 3.11.8 complains on standard error.
    """
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", 0)
    )
    try:
        yield stream
    finally:
        transport.close()


class _Supervisor:
    """A running supervisor, and what it says of the program (`supervisor.py`)."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        status: int,
        output: int,
        lifeline: int,
        on_output: Callable[[bytes], None],
        clean_up: Callable[[], object],
    ) -> None:
        self._process = process
        self._on_output = on_output
        self._clean_up = clean_up
        self._lifeline = lifeline
        self._output: collections.deque[str] = collections.deque(maxlen=OUTPUT_CHUNKS)
        self._said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._end = asyncio.create_task(self._follow(process, status, output))

    async def _follow(
        self, process: asyncio.subprocess.Process, status: int, output: int
    ) -> ProcessExit:
        """Read the supervisor's messages until it has ended."""
        kept = asyncio.create_task(self._keep_output(output))
        code: int | None = None
        async with _reading(status) as said:
            async for line in said:
                word, value = line.decode().rstrip("\n").split(" ", 1)
                if word == "exit":
                    code = int(value)
                self._said.put_nowait((word, value))
        own_code = await process.wait()
        await kept  # it ends with the last process that writes to it: the program is dead
        if code is None:  # somebody has killed the supervisor, or it found no folder
            await asyncio.to_thread(self._clean_up)
        self._said.put_nowait(("end", ""))
        if code is None:  # the supervisor ended before the program, or never ran it
            return ProcessExit(own_code, self._words, of_its_host=True)
        return ProcessExit(code, self._words)

    @property
    def _words(self) -> str:
        return "".join(self._output)

    async def _keep_output(self, output: int) -> None:
        async with _reading(output) as stream:
            while chunk := await stream.read(4096):
                self._output.append(chunk.decode(errors="replace"))
                self._on_output(chunk)

    @property
    def lifeline(self) -> int:
        """The descriptor of the pipe whose end ends the program."""
        return self._lifeline

    async def said(self, word: str) -> str | None:
        """Return the value that comes with the next message; None if that is another word."""
        heard, value = await self._said.get()
        return value if heard == word else None

    def give_the_word(self) -> None:
        """Have the supervisor start the program."""
        with contextlib.suppress(BrokenPipeError):  # the supervisor ended and says why
            os.write(self._lifeline, b"s")

    async def exited(self) -> ProcessExit:
        """Wait until the supervisor has ended."""
        return await asyncio.shield(self._end)

    async def kill(self) -> ProcessExit:
        """Break the lifeline, and wait until the supervisor has ended.

        A supervisor that does not end in time is killed, and its program dies with it. The wait
        is bounded even if the kernel can't end the program, because a device does not answer.
        """
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if not (await asyncio.wait({self._end}, timeout=END_S))[0]:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            if not (await asyncio.wait({self._end}, timeout=END_S))[0]:
                return ProcessExit(-signal.SIGKILL, self._words, of_its_host=True)
        return self._end.result()


class Supervised:
    """A running program. Made by `supervise`."""

    def __init__(self, supervisor: _Supervisor, held: HeldFolder, pid: int) -> None:
        self.folder = held.path
        self.pid = pid
        self._held = held
        self._supervisor = supervisor

    @property
    def lifeline(self) -> int:
        """The descriptor of the pipe whose end ends the program.

        A process that inherits it lets the program live on until that process has ended, too.
        """
        return self._supervisor.lifeline

    async def read_file(self, name: str) -> bytes:
        """Return a file from the program's folder.

        Raises:
            OSError: it can't be read, or is no regular file.
        """
        return await asyncio.to_thread(self._held.read, name)

    async def exited(self) -> ProcessExit:
        """Wait until the program has ended and its folder is gone."""
        return await self._supervisor.exited()

    async def kill(self) -> ProcessExit:
        """Kill the program and remove its folder."""
        self._held.close()
        return await self._supervisor.kill()


async def supervise(
    argv: Sequence[str],
    files: Mapping[str, bytes],
    *,
    what: str,
    pass_fds: Sequence[int] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
    twins: Path | None = None,
    user: RunAs | None = None,
    on_folder: Callable[[Path], None] = lambda place: None,
    on_output: Callable[[bytes], None] = lambda chunk: None,
) -> Supervised:
    """Run a program in a new folder, under a supervisor that kills it when losttick ends.

    Args:
        argv: the program and its arguments.
        files: content by name, put into the folder before the program starts.
        what: the program's name in messages.
        pass_fds: descriptors that the program inherits.
        environment: variables to add to the program's environment.
        twins: a folder in which the program may have another folder with the name of its
            own. The supervisor removes that folder, too, which must be empty by then.
        user: as whom the program runs; None for losttick's own user.
        on_folder: is called with the program's folder before the program starts.
        on_output: gets what the program writes to standard output and error.

    Raises:
        ProcessStartError: the folder could not be made or filled, or the program not run.
    """
    base = folder.base_folder()
    await asyncio.to_thread(folder.sweep, base, twins)
    try:
        begun = await _start(argv, base, pass_fds, environment, twins, user, on_output)
    except OSError as error:
        raise ProcessStartError(what, error.strerror or str(error)) from error
    held = None
    try:
        if (said := await begun.said("folder")) is None:
            seen = f"no folder for it could be made under {base}"
            raise ProcessStartError(what, seen, await begun.exited())
        place = base / said
        try:
            held = HeldFolder(place)
            await asyncio.to_thread(_fill, held, files)
        except OSError as error:
            seen = f"writing its files to {place}: {error.strerror}. Make room in {base}."
            raise ProcessStartError(what, seen) from error
        on_folder(place)
        begun.give_the_word()
        if (pid := await begun.said("pid")) is None:
            raise ProcessStartError(what, "it did not run", await begun.exited())
    except BaseException:
        if held:
            held.close()
        await begun.kill()
        raise
    return Supervised(begun, held, int(pid))


async def _start(
    argv: Sequence[str],
    base: Path,
    pass_fds: Sequence[int],
    environment: Mapping[str, str],
    twins: Path | None,
    user: RunAs | None,
    on_output: Callable[[bytes], None],
) -> _Supervisor:
    lifeline_theirs, lifeline = os.pipe()
    status, status_theirs = os.pipe()
    output, output_theirs = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", supervisor.__file__,
            str(lifeline_theirs), str(status_theirs),
            str(base / folder.PREFIX), str(twins or "-"), str(user or "-"), "--", *argv,
            stdin=subprocess.DEVNULL,
            stdout=output_theirs,
            stderr=subprocess.STDOUT,
            pass_fds=(lifeline_theirs, status_theirs, *pass_fds),
            env={**os.environ, **environment},
            start_new_session=True,  # losttick handles a Ctrl-C at the terminal
        )  # fmt: skip
    except BaseException:
        for ours in (status, output, lifeline):
            os.close(ours)
        raise
    finally:
        for theirs in (lifeline_theirs, status_theirs, output_theirs):
            os.close(theirs)
    clean_up = functools.partial(folder.sweep, base, twins)
    return _Supervisor(process, status, output, lifeline, on_output, clean_up)


def _fill(folder: HeldFolder, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        folder.write(name, content)

"""A program that cannot outlive losttick: a supervisor runs it in a folder of its own."""

import asyncio
import collections
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.errors import InfraError
from orchestrator.process import folder, supervisor
from orchestrator.process.exit import ProcessExit

#: Chunks of the program's output that are kept, for an error message.
OUTPUT_CHUNKS = 40


class ProcessStartError(InfraError):
    """A program could not be started."""

    def __init__(self, what: str, seen: str, end: ProcessExit | None = None) -> None:
        self.seen = seen
        self.end = end
        """How the program or its supervisor ended, if either ran."""
        super().__init__(f"starting {what}: {seen}" + (f": {end}" if end else ""))


class Supervised:
    """One program under a supervisor (`supervisor.py`), which kills it when losttick ends.

    `prepare` makes the folder, `run` starts the program in it, and `kill` ends both.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        what: str,
        twins: Path | None = None,
        on_output: Callable[[bytes], None] = lambda chunk: None,
    ) -> None:
        """Note what to run.

        Args:
            argv: the program and its arguments.
            what: the program's name in messages.
            twins: a folder in which the program may have another folder with the name of its
                own. The supervisor removes that folder, too, which must be empty by then.
            on_output: gets what the program writes to standard output and error.
        """
        self.argv = argv
        self.pid = 0
        self.folder = Path()
        self._what = what
        self._twins = twins
        self._on_output = on_output
        self._lifeline = -1
        self._output: collections.deque[str] = collections.deque(maxlen=OUTPUT_CHUNKS)
        self._said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._end: asyncio.Task[ProcessExit] | None = None

    async def start(
        self, files: Mapping[str, bytes], pass_fds: tuple[int, ...], environment: Mapping[str, str]
    ) -> None:
        """Prepare and run.

        Raises:
            ProcessStartError: the folder could not be made or filled, or the program not run.
        """
        await self.prepare(files, pass_fds, environment)
        await self.run()

    async def prepare(
        self, files: Mapping[str, bytes], pass_fds: tuple[int, ...], environment: Mapping[str, str]
    ) -> None:
        """Start the supervisor and fill the folder.

        Args:
            files: content by name.
            pass_fds: descriptors that the program inherits.
            environment: variables to add to the program's environment.

        Raises:
            ProcessStartError: the folder could not be made or filled.
        """
        base = folder.base_folder()
        await asyncio.to_thread(folder.sweep, base, self._twins)
        lifeline_theirs, self._lifeline = os.pipe()
        status, status_theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", supervisor.__file__,
                str(lifeline_theirs), str(status_theirs),
                str(base / folder.PREFIX), str(self._twins or "-"), "--", *self.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(lifeline_theirs, status_theirs, *pass_fds),
                env={**os.environ, **environment},
                start_new_session=True,  # losttick handles a Ctrl-C at the terminal
            )  # fmt: skip
        except BaseException:
            os.close(status)
            raise
        finally:
            os.close(lifeline_theirs)
            os.close(status_theirs)
        self._end = asyncio.create_task(self._follow(process, status))

        word, place = await self._said.get()
        if word != "folder":
            seen = f"no folder for it could be made under {base}"
            raise ProcessStartError(self._what, seen, await self.exited())
        self.folder = Path(place)
        try:
            await asyncio.to_thread(self._fill, files)
        except OSError as error:
            seen = f"writing its files to {self.folder}: {error.strerror}. Make room in {base}."
            raise ProcessStartError(self._what, seen) from error

    async def run(self) -> None:
        """Have the supervisor start the program.

        Raises:
            ProcessStartError: the program could not be run.
        """
        with contextlib.suppress(BrokenPipeError):  # the supervisor ended and says why
            os.write(self._lifeline, b"s")
        word, number = await self._said.get()
        if word != "pid":
            raise ProcessStartError(self._what, "it did not run", await self.exited())
        self.pid = int(number)

    def _fill(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            (self.folder / name).write_bytes(content)

    async def _follow(self, process: asyncio.subprocess.Process, status: int) -> ProcessExit:
        """Read the supervisor's messages until it has ended."""
        assert process.stdout is not None
        said = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(said), os.fdopen(status, "rb", 0)
        )
        code = 1
        output = asyncio.create_task(self._keep_output(process.stdout))
        async for line in said:
            word, value = line.decode().rstrip("\n").split(" ", 1)
            if word == "exit":
                code = int(value)
            self._said.put_nowait((word, value))
        transport.close()
        await process.wait()
        await output
        self._said.put_nowait(("end", ""))
        return ProcessExit(code, "".join(self._output))

    async def _keep_output(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(4096):
            self._output.append(chunk.decode(errors="replace"))
            self._on_output(chunk)

    async def read_file(self, name: str) -> bytes:
        """Return a file from the program's folder."""
        return await asyncio.to_thread((self.folder / name).read_bytes)

    async def exited(self) -> ProcessExit:
        """Wait until the program has ended and its folder is gone."""
        assert self._end is not None
        return await asyncio.shield(self._end)

    async def kill(self) -> ProcessExit:
        """Break the lifeline: the supervisor kills the program and removes the folder."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        return await self.exited() if self._end else ProcessExit(1, "it never ran")

"""A process that can't outlive us: a supervisor runs it in a folder of its own."""

import asyncio
import collections
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.host import tracefs
from orchestrator.host.protocol import QemuStartError
from orchestrator.process import folder, supervisor
from orchestrator.process.exit import QemuExit

#: Chunks of its output that are kept, for an error message.
OUTPUT_CHUNKS = 40


class Supervised:
    """One program under a supervisor (`supervisor.py`), which kills it when we end, however."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        what: str,
        tracefs_root: Path | None = None,
        on_output: Callable[[bytes], None] = lambda chunk: None,
    ) -> None:
        """Prepare; `start` does the work.

        Args:
            argv: the program and its arguments.
            what: its name in messages.
            tracefs_root: where to record kernel events while it runs, if anywhere.
            on_output: hears what it writes to standard output and error.
        """
        self.argv = argv
        self.pid = 0
        self.folder = Path()
        self.tracer: tracefs.TraceInstance | None = None
        self._what = what
        self._tracefs = tracefs_root
        self._on_output = on_output
        self._lifeline = -1
        self._output: collections.deque[str] = collections.deque(maxlen=OUTPUT_CHUNKS)
        self._said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._end: asyncio.Task[QemuExit] | None = None

    async def start(
        self, files: Mapping[str, bytes], pass_fds: tuple[int, ...], environment: Mapping[str, str]
    ) -> None:
        """Start the supervisor, fill the folder, and have the program started in it.

        Raises:
            QemuStartError: the folder could not be made or filled, or the program not run.
        """
        base = folder.base_folder()
        await asyncio.to_thread(folder.sweep, base, self._tracefs)
        lifeline_theirs, self._lifeline = os.pipe()
        status, status_theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", supervisor.__file__,
                str(lifeline_theirs), str(status_theirs),
                str(base / folder.PREFIX), str(self._tracefs or "-"), "--", *self.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(lifeline_theirs, status_theirs, *pass_fds),
                env={**os.environ, **environment},
                start_new_session=True,  # a Ctrl-C at the terminal is ours to handle
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
            raise QemuStartError(
                f"starting {self._what}: no folder for it could be made under {base}: "
                f"{await self.exited()}"
            )
        self.folder = Path(place)
        try:
            await asyncio.to_thread(self._fill, files)
        except OSError as error:
            raise QemuStartError(
                f"starting {self._what}: writing its files to {self.folder}: {error.strerror}. "
                f"Make room in {base}."
            ) from error
        if self._tracefs:
            self.tracer = tracefs.TraceInstance.create(self._tracefs, self.folder.name)
        with contextlib.suppress(BrokenPipeError):  # then the supervisor says how it ended
            os.write(self._lifeline, b"s")
        word, number = await self._said.get()
        if word != "pid":
            raise QemuStartError(f"starting {self._what}: {await self.exited()}")
        self.pid = int(number)

    def _fill(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            (self.folder / name).write_bytes(content)

    async def _follow(self, process: asyncio.subprocess.Process, status: int) -> QemuExit:
        """Read what the supervisor says until it has ended."""
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
        return QemuExit(code, "".join(self._output))

    async def _keep_output(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(4096):
            self._output.append(chunk.decode(errors="replace"))
            self._on_output(chunk)

    async def read_file(self, name: str) -> bytes:
        """Return a file from its folder."""
        return await asyncio.to_thread((self.folder / name).read_bytes)

    async def exited(self) -> QemuExit:
        """Wait until it has ended and its folder is gone."""
        assert self._end is not None
        return await asyncio.shield(self._end)

    async def kill(self) -> QemuExit:
        """Break the lifeline: the supervisor kills it and removes its folder."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self.tracer:
            self.tracer.close()
        return await self.exited() if self._end else QemuExit(1, "it never ran")

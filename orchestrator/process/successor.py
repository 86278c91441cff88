"""A process that outlives losttick, and takes over if losttick ends without a word.

losttick may be killed while something that is not its own stands as losttick has put it: a guest
that is stopped, or a snapshot on somebody's disk. A successor waits at a pipe whose other end only
losttick has. A byte from the pipe is the word that all is well. The end of the pipe without that
byte means that losttick has ended, however it ended, and the successor sets things right.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

#: How long a successor may take to end at the word. One that somebody stopped takes for ever.
END_S = 5.0


class Successor:
    """A running successor. Made by `Successor.start`. Somebody may have killed it meanwhile."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: int) -> None:
        self._process = process
        self._pipe = pipe

    @classmethod
    async def start(
        cls,
        program: Sequence[str],
        args: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        quiet: bool = False,
    ) -> "Successor":
        """Start a program of Python's.

        Args:
            program: options of Python's that name the program.
            args: arguments of the program, after the pipe's descriptor, which is the first.
            pass_fds: descriptors that the program inherits.
            environment: the program's environment; None for losttick's own.
            quiet: whether nobody reads what the program says on standard error.

        Raises:
            OSError: the program can't be started.
        """
        theirs, ours = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *program, str(theirs), *args,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if quiet else None,
                pass_fds=(theirs, *pass_fds),
                env=environment,
                start_new_session=True,  # neither a Ctrl-C nor a hang-up of the terminal ends it
            )  # fmt: skip
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    async def release(self) -> None:
        """Tell the successor that all is well, and wait until it has ended."""
        with contextlib.suppress(BrokenPipeError):  # somebody killed it
            os.write(self._pipe, b"d")
        os.close(self._pipe)
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def take_over(self, within_s: float) -> int:
        """Let the successor set things right.

        Returns:
            Its exit status; minus the number of the signal if a signal ended it.

        Raises:
            TimeoutError: it did not end in time. It goes on.
        """
        os.close(self._pipe)
        async with asyncio.timeout(within_s):
            return await self._process.wait()

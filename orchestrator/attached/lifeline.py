"""The process that brings a guest back if losttick dies: its start and its end."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence

from orchestrator.attached import guardian
from orchestrator.attached.target import Target

#: How long the guardian may take, if losttick itself has to leave the guest to it.
PATIENCE_S = guardian.PATIENCE_S + guardian.AGAIN_S


class Lifeline:
    """A running guardian. Made by `Lifeline.start`."""

    def __init__(self, process: asyncio.subprocess.Process, end: int) -> None:
        self._process = process
        self._end = end

    @classmethod
    async def start(cls, target: Target, snapshot: str) -> "Lifeline":
        """Start a guardian for a snapshot that is not there yet.

        Args:
            target: the virtual machine, which runs.
            snapshot: the name that the snapshot will have.
        """
        theirs, ours = os.pipe()
        link: Sequence[str] = target.link
        fds = [theirs]
        if target.stream is not None:
            fds.append(target.stream.fileno())
            link = (*link, str(target.stream.fileno()))
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", guardian.__file__, str(theirs), snapshot, *link,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=fds,
                start_new_session=True,  # neither a Ctrl-C nor a hang-up of the terminal ends it
            )  # fmt: skip
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(process, ours)

    async def release(self) -> None:
        """Tell the guardian that all is well, and wait for its end."""
        with contextlib.suppress(BrokenPipeError):  # somebody killed it
            os.write(self._end, b"d")
        os.close(self._end)
        await self._process.wait()

    async def bring_back(self) -> bool:
        """Let the guardian bring the guest back; return whether it did, or QEMU is gone."""
        os.close(self._end)
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.wait() in (0, 3)

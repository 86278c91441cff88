"""Runs losttick once more, as a child that does not outlive this process."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import InfraError
from orchestrator.process.tool import bound_to_us

#: Seconds that the child has to clean up once it is interrupted. This process has about as many.
_END_S = 3.5


#: Most bytes of the child's answer. A run of thousands of cells has some megabytes.
_MOST_BYTES = 256 << 20


class InnerRunError(InfraError):
    """The child can't be started."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the child ended."""

    code: int
    """Its exit code; minus the number of the signal that killed it."""
    printed: dict[str, Any] | None
    """The JSON object that it printed; None if it printed something else."""


def own_argv() -> list[str]:
    """Return the command that starts losttick once more."""
    return [sys.executable, "-P", "-m", "orchestrator"]


async def run_losttick(words: Sequence[str]) -> Ended:
    """Run a losttick command to its end. What it says on standard error goes to ours.

    If this task is cancelled, the child is interrupted, and killed if it does not end. If this
    process is killed, the child is interrupted by the kernel, and cleans up.

    Raises:
        InnerRunError: it can't be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *bound_to_us("INT"), *own_argv(), *words, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, limit=_MOST_BYTES,
            start_new_session=True,  # a Ctrl-C at the terminal reaches it once, from here
        )  # fmt: skip
    except OSError as error:
        raise InnerRunError(f"starting losttick: {error.strerror}") from error
    try:
        output, _ = await process.communicate()
    except BaseException:
        await _end(process)
        raise
    assert process.returncode is not None
    return Ended(process.returncode, _object(output))


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await process.communicate()
                return
        os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


def _object(output: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None

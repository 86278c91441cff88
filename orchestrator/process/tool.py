"""Runs a program of this host to its end."""

import collections
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.errors import InfraError, LosttickError, TransientError, UnfitError, says_no_room
from orchestrator.process.background import current_job

#: apt adds this line for every list that it could not download. It names nothing.
_SAYS_NOTHING = "Some index files failed to download."


#: Lines of the output that an error may quote.
_TAIL_LINES = 20


class ToolError(InfraError):
    """A tool failed."""


class MissingToolError(UnfitError):
    """A tool is not installed."""


def run_tool(
    command: Sequence[str],
    doing: str,
    *,
    cwd: Path | None = None,
    must: bool = True,
    failed: type[LosttickError] = ToolError,
    missing: type[LosttickError] = MissingToolError,
    on_line: Callable[[str], None] | None = None,
    hold: Sequence[int] = (),
    bound: bool = True,
) -> str:
    """Run a tool and return its standard output.

    The tool is killed if this process ends, or if the task that waits for it is cancelled
    (`in_thread`).

    Args:
        command: the tool and its arguments.
        doing: what the tool is run for; the error's message begins with it.
        cwd: the tool's working directory.
        must: whether it is an error if the tool fails.
        failed: the error to raise if the tool fails.
        missing: the error to raise if the tool is not installed.
        on_line: is called with each line of output, standard error included, as it comes.
        hold: file descriptors that the tool and its children keep open.
        bound: whether the tool is killed if this process ends. A package manager must not be.

    Raises:
        LosttickError: `failed` or `missing`.
        TransientError: the tool failed because its host had no room at the moment.
        WorkCancelled: nobody waits for the tool any more.
    """
    if shutil.which(command[0]) is None:
        raise missing(f"{doing}: {command[0]} is not installed")
    job = current_job()
    process = job.start(
        [*(bound_to_us() if bound else ()), *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if on_line else subprocess.PIPE,
        cwd=cwd, pass_fds=hold,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip
    try:
        if on_line and process.stdout:
            tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
            for line in process.stdout:
                on_line(line.strip())
                tail.append(line.strip())
            output, errors = "\n".join(tail), ""
        else:
            output, errors = process.communicate()
        code = process.wait()
    finally:
        job.end(process)
    if must and code != 0:
        reason = _reason(command[0], code, output, errors)
        raise (TransientError if says_no_room(reason) else failed)(f"{doing}: {reason}")
    return output


def bound_to_us(by: str = "KILL") -> list[str]:
    """Return the words before a command by which the kernel signals it when this process ends.

    Args:
        by: the signal's name.

    Returns:
        Nothing where the tool for that, setpriv of util-linux, is not installed.
    """
    return ["setpriv", "--pdeathsig", by] if shutil.which("setpriv") else []


def _reason(tool: str, code: int, output: str, errors: str) -> str:
    """Return the lines of a tool's output that say why it failed."""
    lines = (errors.strip() or output.strip()).splitlines()
    words = [line.removeprefix("E: ") for line in lines if _SAYS_NOTHING not in line]
    unmet = re.findall(r"(?:\S+ : )?Depends: .* but .*", output)  # apt names them there
    if not errors:  # a build: its errors stand among much else
        words = [line for line in words if re.search(r"[Ee]rror|not found", line)] or words
        return "; ".join(unmet[-3:] or words[:3]).rstrip(".") or f"{tool} ended with {code}"
    return "; ".join(unmet[-3:] or words[-3:]).rstrip(".")

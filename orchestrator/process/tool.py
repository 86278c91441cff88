"""Runs a tool of this machine to its end."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import InfraError, LosttickError

#: apt adds this to every list that did not come.
_SAYS_NOTHING = "Some index files failed to download."


class ToolError(InfraError):
    """A tool failed, or is not there."""


def run_tool(
    command: Sequence[str],
    doing: str,
    *,
    cwd: Path | None = None,
    must: bool = True,
    error: type[LosttickError] = ToolError,
) -> str:
    """Run a tool and return its output; should we be killed, so is it.

    Args:
        command: the tool and its arguments.
        doing: what for, in a message.
        cwd: where.
        must: whether its failure is an error.
        error: what to raise.

    Raises:
        LosttickError: as chosen: the tool failed, or is not there.
    """
    if shutil.which(command[0]) is None:
        raise error(f"{doing}: there is no {command[0]}")
    bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    done = subprocess.run(
        [*bound, *command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=cwd,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip
    if must and done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        words = [line.removeprefix("E: ") for line in lines if _SAYS_NOTHING not in line]
        unmet = re.findall(r"(?:\S+ : )?Depends: .* but .*", done.stdout)  # apt names them there
        raise error(f"{doing}: {'; '.join(unmet[-3:] or words[-3:]).rstrip('.')}")
    return done.stdout

"""Processes that have imported the command line before they begin.

A test of many commands would else wait for the same imports in each process, a third of a second.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

#: Imports every command; then forks for each case. A child ends as any interpreter does.
PARENT = """
import gc, json, os, sys
from orchestrator import cli
from orchestrator.cli.app import whole_app
whole_app()
gc.freeze()  # or each child would copy what it only looks at
for line in sys.stdin:
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    os._exit(0)
case = json.loads(line)
for number, name in enumerate(("/dev/null", case["stdout"], case["stderr"])):
    file = os.open(name, os.O_RDWR if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, number)
    os.close(file)
os.environ.update(case["env"])
os.chdir(case["cwd"])
exec(case["breaking"])
sys.argv = ["losttick", *case["args"]]
cli.main()
"""


class PreparedProcess:
    """The parent of the processes; a context manager."""

    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate()

    def code(
        self,
        *args: str,
        breaking: str = "",
        stdout: str | Path = os.devnull,
        stderr: str | Path = os.devnull,
        env: Mapping[str, str] | None = None,
        cwd: str | Path = ".",
    ) -> int:
        """Return the exit code of `losttick ARGS`, run after a program text that breaks it."""
        case = {
            "args": args, "breaking": breaking, "stdout": str(stdout), "stderr": str(stderr),
            "env": dict(env or {}), "cwd": str(cwd),
        }  # fmt: skip
        assert self._parent.stdin
        assert self._parent.stdout
        print(json.dumps(case), file=self._parent.stdin, flush=True)
        return int(self._parent.stdout.readline())

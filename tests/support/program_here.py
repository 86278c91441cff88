"""Small programs in Python that run in this process, where a new one would mostly start."""

import contextlib
import io
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock


def run_here(program: Path, *args: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a program; return how it ended and what it said."""
    command = [str(program), *map(str, args)]
    code = 0
    with (
        mock.patch.object(sys, "argv", command),
        mock.patch.object(sys, "path", [str(program.parent), *sys.path]),
        contextlib.redirect_stdout(io.StringIO()) as output,
        contextlib.redirect_stderr(io.StringIO()) as error,
    ):
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
    return subprocess.CompletedProcess(command, code, output.getvalue(), error.getvalue())

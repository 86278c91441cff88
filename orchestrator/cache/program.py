"""Builds the static C programs that run in a lab, once for each of their sources."""

import hashlib
import shutil
from pathlib import Path

from orchestrator.cache.workshop import cache_folder, workshop
from orchestrator.errors import UnfitError
from orchestrator.process.tool import run_tool

#: Static, so that they also run where there is nothing but a kernel.
FLAGS = ("-O2", "-static", "-Wall", "-Wextra")


class NoCompilerError(UnfitError):
    """A program can't be built here."""


def shipped(name: str, folder: str = "lab") -> Path:
    """Return a file of `images/FOLDER`, in the installed package or a source tree."""
    installed = Path(__file__).parents[1] / folder / name
    return installed if installed.exists() else (
        Path(__file__).parents[2] / "images" / folder / name
    )  # fmt: skip


def static_program(source: Path, cache: Path | None = None) -> Path:
    """Return the built program; it is kept under the hash of its source and flags.

    Raises:
        NoCompilerError: there is no C compiler.
        ToolError: the compiler failed.
    """
    key = hashlib.sha256(source.read_bytes() + repr(FLAGS).encode()).hexdigest()[:16]
    folder = (cache or cache_folder()) / source.stem
    program = folder / key
    if program.exists():
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompilerError(
            f"building {source.name}: there is no C compiler. "
            "Install one (Debian: apt-get install gcc libc6-dev)."
        )
    with workshop(folder) as work:
        fresh = work / source.stem
        run_tool([compiler, *FLAGS, "-o", str(fresh), str(source)], f"building {source.name}")
        fresh.replace(program)  # whole or not at all, whoever else builds it
    return program

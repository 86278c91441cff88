"""Builds static C programs, once for each version of their source."""

import hashlib
import shutil
from pathlib import Path

from orchestrator.cache.workshop import cache_folder, workshop
from orchestrator.errors import UnfitError
from orchestrator.process.tool import run_tool

#: The programs are static, so that they run in a lab that has nothing but a kernel.
FLAGS = ("-O2", "-static", "-Wall", "-Wextra")


class NoCompilerError(UnfitError):
    """A program can't be built here."""


def shipped(name: str, folder: str = "lab") -> Path:
    """Return a file of `images/FOLDER`, in the installed package or a source tree."""
    package = Path(__file__).parents[1]
    installed = package / "images" / folder / name
    return installed if installed.exists() else package.parent / "images" / folder / name


def static_program(source: Path, cache: Path | None = None) -> Path:
    """Return the program that was built from a source. The cache keeps it.

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
        fresh.replace(program)  # atomic, even if another process builds the same program
    return program

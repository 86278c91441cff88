"""Builds the probe, once for each of its sources."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from orchestrator.errors import InfraError, UnfitError
from orchestrator.lab.packages import cache_folder, workshop

#: Static, so that it also runs where there is nothing but a kernel.
FLAGS = ("-O2", "-static", "-Wall", "-Wextra")


class NoCompilerError(UnfitError):
    """The probe can't be built here."""


def source() -> Path:
    """Return the probe's source, in the installed package or a source tree."""
    installed = Path(__file__).with_name("probe.c")
    return installed if installed.exists() else (
        Path(__file__).parents[2] / "images" / "probe" / "probe.c"
    )  # fmt: skip


def build(cache: Path | None = None) -> Path:
    """Return the built program; it is kept under the hash of its source and flags.

    Raises:
        NoCompilerError: there is no C compiler.
        InfraError: the compiler failed.
    """
    text = source().read_bytes()
    key = hashlib.sha256(text + repr(FLAGS).encode()).hexdigest()[:16]
    folder = (cache or cache_folder()) / "probe"
    program = folder / key
    if program.exists():
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompilerError(
            "building the probe: there is no C compiler. "
            "Install one (Debian: apt-get install gcc libc6-dev)."
        )
    with workshop(folder) as work:
        fresh = work / "probe"
        done = subprocess.run(
            [compiler, *FLAGS, "-o", str(fresh), str(source())],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise InfraError(f"building the probe by {compiler}: {done.stderr.strip()}")
        fresh.replace(program)  # whole or not at all, whoever else builds it
    return program

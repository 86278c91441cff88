"""Builds static C programs, once for each version of their source."""

import hashlib
import logging
import shutil
import time
from pathlib import Path

from orchestrator.cache.store import EntryInfo, Store, in_words
from orchestrator.cache.workshop import cache_folder, workshop
from orchestrator.process.tool import run_tool
from orchestrator.process.toolchain import C_TOOLS, STATIC_LIBC, NoToolsError

_log = logging.getLogger(__name__)


#: The programs are static, so that they run in a lab that has nothing but a kernel.
FLAGS = ("-O2", "-static", "-Wall", "-Wextra")


def shipped(name: str, folder: str = "lab") -> Path:
    """Return a file of `images/FOLDER`, in the installed package or a source tree."""
    package = Path(__file__).parents[1]
    installed = package / "images" / folder / name
    return installed if installed.exists() else package.parent / "images" / folder / name


def static_program(source: Path, cache: Path | None = None) -> Path:
    """Return the program that was built from a source. The cache keeps it.

    Raises:
        NoToolsError: there is no C compiler.
        ToolError: the compiler failed.
    """
    if ready := kept_program(source, cache):
        return ready
    place = _place(source, cache)
    with workshop(place) as work:
        if ready := kept_program(source, cache):  # by another process, while we waited
            return ready
        made = work / "made"
        made.mkdir()
        command = [_compiler(source), *FLAGS, "-o", str(made / source.stem), str(source)]
        run_tool(command, f"building {source.name}")
        info = EntryInfo(f"program {source.stem}", _key(source), time.time())
        return Store(place).add(_key(source), made, info).content / source.stem


def kept_program(source: Path, cache: Path | None = None) -> Path | None:
    """Return the program that was built from a source before; None if there is no undamaged one."""
    entry = Store(_place(source, cache)).find(_key(source))
    if entry and (damage := entry.damage()):
        _log.warning("%s is damaged in %s (%s): building it again",
                     source.stem, entry.folder, in_words(damage))  # fmt: skip
        return None
    return entry.content / source.stem if entry else None


def _place(source: Path, cache: Path | None) -> Path:
    return (cache or cache_folder()) / source.stem


def _key(source: Path) -> str:
    return hashlib.sha256(source.read_bytes() + repr(FLAGS).encode()).hexdigest()[:16]


def _compiler(source: Path) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not STATIC_LIBC.is_there:
        missing = [tool for tool in C_TOOLS if not tool.is_there]
        raise NoToolsError(f"building {source.name}", missing, C_TOOLS)
    return compiler

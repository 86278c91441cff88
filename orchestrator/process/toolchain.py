"""The tools of this computer that build what runs in a lab: one list, for every message."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import UnfitError


@dataclass(frozen=True, slots=True)
class BuildTool:
    """A program or a library that a build needs."""

    name: str
    package: str
    """Debian's package that has it."""

    @property
    def is_there(self) -> bool:
        """True if it is installed."""
        if self.name.endswith(".a"):
            return _static_library(self.name)
        return shutil.which(self.name) is not None


def _static_library(name: str) -> bool:
    """Return whether the compiler finds a static library."""
    if (compiler := shutil.which("gcc") or shutil.which("cc")) is None:
        return False
    asked = [compiler, f"-print-file-name={name}"]
    found = subprocess.run(asked, capture_output=True, check=False).stdout.strip()
    return Path(os.fsdecode(found)).is_absolute()


#: The C library for programs that run in a lab, where no other file is.
STATIC_LIBC = BuildTool("libc.a", "libc6-dev")


#: Everything that is needed to build such a program.
C_TOOLS = (BuildTool("gcc", "gcc"), STATIC_LIBC)


#: Everything that is needed to build Bochs, KVM's modules, and the programs that run in a lab.
BUILD_TOOLS = (
    *C_TOOLS,
    BuildTool("g++", "g++"),
    BuildTool("ld", "binutils"),
    BuildTool("make", "make"),
    BuildTool("tar", "tar"),
    BuildTool("xz", "xz-utils"),
)


#: Everything that is needed to build a kernel of a git repository.
KERNEL_TOOLS = (
    *BUILD_TOOLS,
    BuildTool("bc", "bc"),
    BuildTool("bison", "bison"),
    BuildTool("flex", "flex"),
    BuildTool("git", "git"),
    BuildTool("libelf.a", "libelf-dev"),  # objtool is linked with it
)


class NoToolsError(UnfitError):
    """Tools to build with are missing."""

    def __init__(
        self,
        doing: str,
        missing: Sequence[BuildTool],
        needed: Sequence[BuildTool] = BUILD_TOOLS,
    ) -> None:
        self.missing = tuple(missing)
        super().__init__(
            f"{doing}: not installed: {', '.join(tool.name for tool in missing)}. As root, run: "
            f"apt-get update && apt-get install {' '.join(packages(needed))}"
        )


def packages(tools: Sequence[BuildTool] = BUILD_TOOLS) -> list[str]:
    """Return the Debian packages of some tools."""
    return sorted({tool.package for tool in tools})


def missing_tools(needed: Sequence[BuildTool] = BUILD_TOOLS) -> list[BuildTool]:
    """Return the build tools that are not installed."""
    return [tool for tool in needed if not tool.is_there]


def need_tools(doing: str, needed: Sequence[BuildTool] = BUILD_TOOLS) -> None:
    """Refuse to begin a build without all tools: a later build would need the others.

    Args:
        doing: what is to be done; the error's message begins with it.
        needed: the tools.

    Raises:
        NoToolsError: tools are missing.
    """
    if missing := missing_tools(needed):
        raise NoToolsError(doing, missing, needed)

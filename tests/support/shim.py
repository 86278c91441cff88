"""A library that makes QEMU's KVM do wrong what a load should do right (tests/e2e/shim.c)."""

import shutil
import subprocess
from pathlib import Path

from tests.support.needs import Need, lacking
from tests.support.places import ROOT

SOURCE = ROOT / "tests" / "e2e" / "shim.c"


def build_shim(place: Path) -> Path:
    """Compile the shim into a folder."""
    return build_library(SOURCE, place)


def build_library(source: Path, place: Path) -> Path:
    """Compile a library for LD_PRELOAD into a folder."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        lacking(Need.COMPILER, "apt-get install gcc libc6-dev")
    library = place / f"{source.stem}.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source, "-ldl"],
        check=True,
    )
    return library


def shim_environment(library: Path, log: Path, fault: str, **options: int) -> dict[str, str]:
    """Return QEMU's environment for a fault.

    Args:
        library: the compiled shim.
        log: where the shim notes each load.
        fault: behaviours of the shim, such as `tpr:48,irr:49,unstarted`.
        options: `permille`, `seed` or `vcpu`: which loads are tampered with.
    """
    chosen = {f"SHIM_{name.upper()}": str(value) for name, value in options.items()}
    return {"LD_PRELOAD": str(library), "SHIM_LOG": str(log), "SHIM_FAULT": fault, **chosen}

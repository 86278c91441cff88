"""A library that makes CLOCK_REALTIME jump (tests/e2e/clock_jumps.c)."""

from pathlib import Path

from tests.support.places import ROOT
from tests.support.shim import build_library


def build_clock_jumps(place: Path) -> Path:
    """Compile the library into a folder."""
    return build_library(ROOT / "tests" / "e2e" / "clock_jumps.c", place)

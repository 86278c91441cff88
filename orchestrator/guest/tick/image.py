"""The tick firmware's image."""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Firmware:
    """The firmware image and its identity."""

    content: bytes
    sha256: str


@functools.cache
def firmware() -> Firmware:
    """Return the tick firmware, from the installed package or a source tree."""
    installed = Path(__file__).with_name("tick.bin")
    source = Path(__file__).parents[3] / "images" / "tick" / "tick.bin"
    content = (installed if installed.exists() else source).read_bytes()
    return Firmware(content, hashlib.sha256(content).hexdigest())

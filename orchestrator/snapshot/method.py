"""The names of methods and cycles."""

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # keeps `losttick --help` from importing the monitor
    pass


class Method(enum.StrEnum):
    """How state is saved and loaded."""

    HMP = "hmp"
    """`savevm` and `loadvm` of the human monitor: in every QEMU."""
    JOBS = "jobs"
    """QMP `snapshot-save` and `snapshot-load`: since QEMU 6.0."""
    LOADVM = "loadvm"
    """`savevm`; then a new QEMU with `-loadvm`."""
    EXEC = "exec"
    """Migration to a file by `exec:`; then a new QEMU, `-incoming defer` and `migrate-incoming`."""
    FILE = "file"
    """The same by `file:`: since QEMU 8.2."""
    MAPPED_RAM = "mapped-ram"
    """The same, with each page at its own place in the file: since QEMU 9.0."""
    INCOMING = "incoming"
    """Migration to a file; then a new QEMU with `-incoming URI`, which loads as it starts."""


class CycleKind(enum.StrEnum):
    """Which guests are saved, and how often a save is loaded."""

    REPEAT = "repeat"
    """Save once, load up to n times; then the next save."""
    FRESH = "fresh"
    """Save and load each time; what is saved is a guest that was never loaded."""
    CHAIN = "chain"
    """Load, run, save, load …: each save is of the guest that the load before gave."""

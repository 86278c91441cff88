"""Names of the snapshot methods and of the cycles of saves and loads."""

import enum


class Method(enum.StrEnum):
    """A way to save and load state."""

    HMP = "hmp"
    """`savevm` and `loadvm` of the human monitor. Every QEMU has them."""
    JOBS = "jobs"
    """QMP `snapshot-save` and `snapshot-load`, since QEMU 6.0."""
    JOBS_HMP = "jobs-hmp"
    """QMP `snapshot-save`; then `loadvm` of the human monitor."""
    JOBS_LOADVM = "jobs-loadvm"
    """QMP `snapshot-save`; then a new QEMU with `-loadvm`."""
    LOADVM = "loadvm"
    """`savevm`; then a new QEMU with `-loadvm`."""
    EXEC = "exec"
    """Migration to `exec:`; then a new QEMU with `-incoming defer`, and `migrate-incoming`."""
    FILE = "file"
    """Like `exec`, but migration to `file:`, since QEMU 8.2."""
    MAPPED_RAM = "mapped-ram"
    """Like `file`, but each page has a fixed place in the file, since QEMU 9.0."""
    INCOMING = "incoming"
    """Migration to `exec:`; then a new QEMU with `-incoming URI`, which loads as it starts."""


class Resume(enum.StrEnum):
    """How the guest runs on after a load."""

    CONT = "cont"
    """losttick stops the guest before the load, and continues it after the load."""
    AUTO = "auto"
    """QEMU itself lets the guest run on: a load into a running guest, or a new QEMU without
    `-S`."""


class CycleKind(enum.StrEnum):
    """The guest that is saved next, and how often each save is loaded."""

    REPEAT = "repeat"
    """Save once and load up to n times; then save again."""
    FRESH = "fresh"
    """Load each save once. Every save is of a guest that was never loaded."""
    CHAIN = "chain"
    """Load each save once. Every save is of the guest that the previous load left."""

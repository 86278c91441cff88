"""Migration to `file:`, since QEMU 8.2; loaded by `migrate-incoming`."""

from orchestrator.snapshot.migration import MigrationSnapshots


class FileSnapshots(MigrationSnapshots):
    """Migration to a file that QEMU itself writes and reads."""

    to_file = from_file = "file:{0}"

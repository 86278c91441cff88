"""Migration to a file by `file:` (QEMU 8.2 on); loaded by `migrate-incoming`."""

from orchestrator.snapshot.migration import MigrationSnapshots


class FileSnapshots(MigrationSnapshots):
    """Migration that QEMU itself writes and reads."""

    to_file = from_file = "file:{0}"

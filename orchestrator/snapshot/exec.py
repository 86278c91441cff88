"""Migration to a file by `exec:`, in every QEMU; loaded by `migrate-incoming`."""

from orchestrator.snapshot.migration import MigrationSnapshots


class ExecSnapshots(MigrationSnapshots):
    """Migration through a shell; the file has its name only when it is whole."""

    to_file = "exec:cat > {0}.unfinished && mv {0}.unfinished {0}"
    from_file = "exec:cat {0}"

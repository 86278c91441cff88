"""Migration to a file through `exec:`, which every QEMU has; loaded by `migrate-incoming`."""

from orchestrator.snapshot.migration import MigrationSnapshots


class ExecSnapshots(MigrationSnapshots):
    """Migration through a shell. The file gets its name only when it is complete."""

    spawns = True
    to_file = "exec:cat > {0}.unfinished && mv {0}.unfinished {0}"
    from_file = "exec:cat {0}"

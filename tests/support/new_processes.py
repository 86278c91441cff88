"""Methods that load in a new QEMU."""

from orchestrator.snapshot.method import Method

NEW_PROCESS = [Method.LOADVM, Method.EXEC, Method.INCOMING]

#: The options after `-S` on the command line of a QEMU that loads.
LOADER = {
    Method.LOADVM: ["-loadvm", "save"],
    Method.EXEC: ["-incoming", "defer", "-global", "migration.x-events=on"],
    Method.INCOMING: ["-incoming", "exec:cat save.state", "-global", "migration.x-events=on"],
}

"""The snapshot methods, and what each of them needs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestrator.errors import Lack, UnfitError
from orchestrator.host.facts import QemuFacts
from orchestrator.snapshot.exec import ExecSnapshots
from orchestrator.snapshot.file import FileSnapshots
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.snapshot.incoming import IncomingSnapshots
from orchestrator.snapshot.jobs import JobSnapshots
from orchestrator.snapshot.jobs_hmp import JobHmpSnapshots
from orchestrator.snapshot.loadvm import JobLoadvmSnapshots, LoadvmSnapshots
from orchestrator.snapshot.mapped_ram import MappedRamSnapshots
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.protocol import Snapshots


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a method needs of QEMU."""

    what: str
    """The need, and since which version QEMU meets it, for a person."""
    met: Callable[[QemuFacts], bool]
    """Whether this QEMU meets the need, by its own description."""
    instead: Method
    """The method to use where the need is not met."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A method's implementation, and its needs in the order in which they are checked."""

    implementation: type[Snapshots]
    needs: tuple[Need, ...] = ()


_JOBS = Need(
    "snapshot-save and snapshot-load (they came with 6.0)",
    lambda qemu: qemu.has_snapshot_jobs,
    Method.HMP,
)
_FILE = Need(
    "migration by file: (it came with 8.2)", lambda qemu: "file" in qemu.migration, Method.EXEC
)
_MAPPED_RAM = Need(
    "mapped-ram (it came with 9.0)", lambda qemu: "mapped-ram" in qemu.migration, Method.FILE
)

METHODS: dict[Method, Entry] = {
    Method.HMP: Entry(HmpSnapshots),
    Method.JOBS: Entry(JobSnapshots, (_JOBS,)),
    Method.JOBS_HMP: Entry(JobHmpSnapshots, (_JOBS,)),
    Method.JOBS_LOADVM: Entry(JobLoadvmSnapshots, (replace(_JOBS, instead=Method.LOADVM),)),
    Method.LOADVM: Entry(LoadvmSnapshots),
    Method.EXEC: Entry(ExecSnapshots),
    Method.FILE: Entry(FileSnapshots, (_FILE,)),
    Method.MAPPED_RAM: Entry(MappedRamSnapshots, (_FILE, _MAPPED_RAM)),
    Method.INCOMING: Entry(IncomingSnapshots),
}


class MethodMissingError(UnfitError):
    """The QEMU does not have the method."""

    lacks = Lack.METHOD

    def __init__(self, method: Method, qemu: QemuFacts, need: Need) -> None:
        self.method = method
        self.need = need
        super().__init__(
            f"QEMU {qemu.version} has no {need.what}: "
            f"use --method {need.instead}, or a newer QEMU with --qemu"
        )


def snapshots(method: Method, qemu: QemuFacts) -> Snapshots:
    """Return the implementation of a method.

    Raises:
        MethodMissingError: this QEMU lacks something that the method needs.
    """
    entry = METHODS[method]
    for need in entry.needs:
        if not need.met(qemu):
            raise MethodMissingError(method, qemu, need)
    return entry.implementation()

"""Pauses a campaign before a disk is full on which it writes."""

from orchestrator.campaign.events import Progress
from orchestrator.host.protocol import Host
from orchestrator.journal.file import JournalError
from orchestrator.journal.out_folder import OutFolder
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import PauseRecord
from orchestrator.plan.cell import Cell
from orchestrator.process.folder import base_folder, disk_of

#: Room that a run leaves on a disk: for the evidence of some hangs, and for other programs.
LEAST_BYTES = 16 << 20

#: A run on a small disk leaves one part in so many of the disk.
LEAST_PART = 8

#: A run on a disk of at most this size leaves nothing: it goes on until the disk is full.
TINY_BYTES = 1 << 20

#: A pause ends when there is so many times the room at which it began.
ENOUGH = 1.5

#: Longest time that a run waits for room, by the host's clock.
LONGEST_NS = 24 * 3600 * 1_000_000_000

#: With less room than this, a save of a small guest may fail.
FULL_BYTES = 2 << 20

_LOOK_NS = 5_000_000_000


class NoRoomError(JournalError):
    """A disk on which the run writes is nearly full."""


class Room:
    """The room on the disks on which a run writes: for its results, and for QEMU's files."""

    def __init__(self, out: OutFolder) -> None:
        """Prepare.

        Args:
            out: the output folder.
        """
        self._out = out

    def lacking(self, times: float = 1.0) -> str | None:
        """Return which disk has less than so many times the least room, in words."""
        base = base_folder()
        for place, disk in ((self._out.path, self._out.disk), (base, disk_of(base))):
            tiny = disk.size_bytes < TINY_BYTES
            least = 0 if tiny else min(LEAST_BYTES, disk.size_bytes // LEAST_PART)
            if disk.free_bytes < least * times:
                return (
                    f"almost no space left on the disk of {place}: {in_mib(disk.free_bytes)} are "
                    f"free, and losttick leaves {in_mib(least)} free"
                )
        return None

    def check(self) -> None:
        """Check that there is room to begin with.

        Raises:
            NoRoomError: there is not.
        """
        if why := self.lacking():
            raise NoRoomError(f"beginning a run: {why}. Make room, or choose another place.")

    async def wait(self, host: Host, cell: Cell, recorder: Recorder, progress: Progress) -> int:
        """Wait while a disk is nearly full; return for how long, in ns by the host's clock.

        Raises:
            NoRoomError: nobody has made room.
        """
        why = self.lacking()
        if why is None:
            return 0
        progress.noted(f"{cell.id}: {why}; pausing until there is room")
        clock = host.clock
        began_ns = clock.now_ns()
        while self.lacking(ENOUGH):
            if clock.now_ns() - began_ns > LONGEST_NS:
                raise NoRoomError(
                    f"waiting for room: {why}, and nobody made room in "
                    f"{LONGEST_NS / 3600e9:.0f} hours. The journal so far is good."
                )
            await clock.sleep(_LOOK_NS)
        rested_ns = clock.now_ns() - began_ns
        recorder.write(PauseRecord(cell.id, why, rested_ns))
        progress.noted(f"{cell.id}: there is room again; continuing after {rested_ns / 1e9:.0f} s")
        return rested_ns


def no_room_for_qemu() -> str | None:
    """Return that the disk with QEMU's files is full, in words; None if it is not.

    QEMU itself may say no more than "Input/output error".
    """
    base = base_folder()
    free = disk_of(base).free_bytes
    if free >= FULL_BYTES:
        return None
    return (
        f"There is almost no space left for QEMU's files: {in_mib(free)} in {base}. Make room "
        "there, or let TMPDIR name a folder on another disk"
    )


def in_mib(size: int) -> str:
    """Return a number of bytes in MiB."""
    return f"{size / (1 << 20):.1f} MiB"

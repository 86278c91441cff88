"""The common part of all methods that migrate to a file and from it into a new QEMU."""

from orchestrator.qmp.answers import MigrationChange, MigrationInfo, understood
from orchestrator.qmp.errors import CommandFailedError, MonitorTimeoutError
from orchestrator.qmp.events import EventStream
from orchestrator.snapshot.state_file import read_state_file
from orchestrator.vm.instance import Instance

#: Time between two checks for a file whose completion QEMU does not announce.
_LOOK_NS = 1_000_000

#: Sets the capability `events` on the command line: QEMU may load before QMP can set it.
_EVENTS = ("-global", "migration.x-events=on")


def _file_of(tag: str) -> str:
    """Return the name of a state's file. QEMU never reads and writes the same file."""
    return f"{tag}.state"


class MigrationSnapshots:
    """Snapshots by migration. A subclass chooses the transport.

    The QEMU that was saved stays in the run state `postmigrate`, from which it can continue.
    """

    needs_disk = False
    spawns = False
    new_process = True
    loads_at_start = False

    to_file: str
    """URI that writes the file `{0}` in QEMU's folder."""
    from_file: str
    """URI that reads that file."""
    capabilities: tuple[str, ...] = ()
    """Migration capabilities that both QEMUs need."""

    async def save(self, instance: Instance, tag: str) -> None:
        """Migrate to the file, and keep its contents."""
        monitor = instance.monitor
        await self._set(instance, "events", *self.capabilities)
        with monitor.listen("MIGRATION") as changes:
            await monitor.execute("migrate", {"uri": self.to_file.format(_file_of(tag))})
            await self._completed(instance, "migrate", changes)
        instance.states[tag] = await self._written(instance, tag)

    async def load(self, instance: Instance, tag: str) -> None:
        """Start a QEMU that waits for migration, and let it migrate from the file."""
        files = {_file_of(tag): instance.states[tag]}
        await instance.replace_qemu(("-incoming", "defer", *_EVENTS), files)
        if self.capabilities:
            await self._set(instance, *self.capabilities)
        with instance.monitor.listen("MIGRATION") as changes:
            uri = self.from_file.format(_file_of(tag))
            await instance.monitor.execute("migrate-incoming", {"uri": uri})
            await self._completed(instance, "migrate-incoming", changes)

    async def load_at_start(self, instance: Instance, tag: str) -> None:
        """Start a QEMU that migrates from the file as it starts."""
        files, uri = {_file_of(tag): instance.states[tag]}, self.from_file.format(_file_of(tag))
        await instance.replace_qemu(("-incoming", uri, *_EVENTS), files, pin=False)
        with instance.monitor.listen("MIGRATION") as changes:
            await self._completed(instance, "-incoming", changes)

    async def delete(self, instance: Instance, tag: str) -> None:
        """Forget the state."""
        del instance.states[tag]

    async def _set(self, instance: Instance, *capabilities: str) -> None:
        switched = [{"capability": name, "state": True} for name in capabilities]
        await instance.monitor.execute("migrate-set-capabilities", {"capabilities": switched})

    async def _completed(self, instance: Instance, command: str, changes: EventStream) -> None:
        """Wait until the migration has ended.

        Raises:
            CommandFailedError: the migration failed.
            MonitorTimeoutError: the migration did not end within the deadline.
        """
        monitor, deadline_ns = instance.monitor, instance.monitor.deadlines.state_ns
        # The migration may have ended before the events were listened to.
        status = (await monitor.ask("query-migrate", MigrationInfo)).status
        try:
            async with instance.clock.deadline(deadline_ns):
                while status not in ("completed", "failed"):
                    change = await anext(changes)
                    status = understood("MIGRATION", MigrationChange, change).data.status
        except TimeoutError:
            seen = f"the migration was not over in {deadline_ns / 1e9:g} s"
            raise MonitorTimeoutError(command, seen) from None
        if status == "failed":
            said = (await monitor.ask("query-migrate", MigrationInfo)).error_desc
            raise CommandFailedError(command, f"the migration failed: {said}")

    async def _written(self, instance: Instance, tag: str) -> bytes:
        """Return the contents of the file.

        QEMU can end the migration before the shell that it writes to has ended, and does not
        report the end of the shell. The file is complete when it has its final name.
        """
        deadline_ns = instance.monitor.deadlines.state_ns
        try:
            async with instance.clock.deadline(deadline_ns):
                while True:
                    try:
                        return await read_state_file(instance, "migrate", _file_of(tag))
                    except FileNotFoundError:
                        await instance.clock.sleep(_LOOK_NS)
        except TimeoutError:
            seen = f"no file after {deadline_ns / 1e9:g} s"
            raise MonitorTimeoutError("migrate", seen) from None

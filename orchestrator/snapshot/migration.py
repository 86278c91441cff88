"""Migration to a file, and from it into a new QEMU: what the methods by migration share."""

from orchestrator.qmp.errors import CommandFailedError, MonitorTimeoutError
from orchestrator.qmp.events import EventStream
from orchestrator.vm.instance import Instance

#: Between two looks for a file that QEMU does not announce.
_LOOK_NS = 1_000_000

#: The capability `events`, for a QEMU that may load before it can be asked for it.
_EVENTS = ("-global", "migration.x-events=on")


def _file_of(tag: str) -> str:
    """Return where a state lies: never where the QEMU that writes it found its own."""
    return f"{tag}.state"


class MigrationSnapshots:
    """Snapshots by migration: a subclass says through what.

    The saving QEMU is left in the state `postmigrate`, in which it can be continued.
    """

    needs_disk = False
    new_process = True

    to_file: str
    """URI that writes a file in QEMU's folder, whose name stands for `{0}`."""
    from_file: str
    """URI that reads it."""
    capabilities: tuple[str, ...] = ()
    """Capabilities that both sides need."""

    async def save(self, instance: Instance, tag: str) -> None:
        """Migrate to the file, and take it."""
        monitor = instance.monitor
        await self._set(instance, "events", *self.capabilities)
        with monitor.listen("MIGRATION") as changes:
            await monitor.execute("migrate", {"uri": self.to_file.format(_file_of(tag))})
            await self._completed(instance, "migrate", changes)
        instance.states[tag] = await self._written(instance, tag)

    async def load(self, instance: Instance, tag: str) -> None:
        """Start a QEMU that waits, and have it migrate from the file."""
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
        """Forget it."""
        del instance.states[tag]

    async def _set(self, instance: Instance, *capabilities: str) -> None:
        switched = [{"capability": name, "state": True} for name in capabilities]
        await instance.monitor.execute("migrate-set-capabilities", {"capabilities": switched})

    async def _completed(self, instance: Instance, command: str, changes: EventStream) -> None:
        """Wait until the migration is over.

        Raises:
            CommandFailedError: it failed.
            MonitorTimeoutError: it was not over within the deadline.
        """
        monitor, deadline_ns = instance.monitor, instance.monitor.deadlines.state_ns
        # It may have been over before anybody listened.
        status = (await monitor.execute("query-migrate")).get("status")
        try:
            async with instance.clock.deadline(deadline_ns):
                while status not in ("completed", "failed"):
                    status = (await anext(changes))["data"]["status"]
        except TimeoutError:
            seen = f"the migration was not over in {deadline_ns / 1e9:g} s"
            raise MonitorTimeoutError(command, seen) from None
        if status == "failed":
            said = (await monitor.execute("query-migrate")).get("error-desc", "for no reason given")
            raise CommandFailedError(command, f"the migration failed: {said}")

    async def _written(self, instance: Instance, tag: str) -> bytes:
        """Return what was written.

        QEMU can be done before a shell that it writes to is, and says nothing of the
        latter's end: the file's name tells, which the file gets last.
        """
        deadline_ns = instance.monitor.deadlines.state_ns
        try:
            async with instance.clock.deadline(deadline_ns):
                while True:
                    try:
                        return await instance.process.read_file(_file_of(tag))
                    except FileNotFoundError:
                        await instance.clock.sleep(_LOOK_NS)
        except TimeoutError:
            seen = f"no file after {deadline_ns / 1e9:g} s"
            raise MonitorTimeoutError("migrate", seen) from None

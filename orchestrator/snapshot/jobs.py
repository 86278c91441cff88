"""The snapshot jobs of QMP, since QEMU 6.0."""

import itertools

from orchestrator.qmp.answers import JobChange, JobInfo, understood
from orchestrator.qmp.errors import CommandFailedError, MonitorTimeoutError
from orchestrator.qmp.monitor import Monitor
from orchestrator.vm.argv import DISK_NODE
from orchestrator.vm.instance import Instance


class JobSnapshots:
    """Snapshots by the jobs `snapshot-save`, `snapshot-load` and `snapshot-delete`."""

    needs_disk = True
    spawns = False
    new_process = False
    loads_at_start = False

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    async def save(self, instance: Instance, tag: str) -> None:
        """Run `snapshot-save`."""
        await self._run(instance.monitor, "snapshot-save", tag, vmstate=True)

    async def load(self, instance: Instance, tag: str) -> None:
        """Run `snapshot-load`."""
        await self._run(instance.monitor, "snapshot-load", tag, vmstate=True)

    async def delete(self, instance: Instance, tag: str) -> None:
        """Run `snapshot-delete`."""
        await self._run(instance.monitor, "snapshot-delete", tag, vmstate=False)

    async def _run(self, monitor: Monitor, command: str, tag: str, *, vmstate: bool) -> None:
        """Start a job, wait until it has concluded, and dismiss it."""
        job = f"losttick-{next(self._numbers)}"
        arguments: dict[str, object] = {"job-id": job, "tag": tag, "devices": [DISK_NODE]}
        if vmstate:
            arguments["vmstate"] = DISK_NODE
        with monitor.listen("JOB_STATUS_CHANGE") as changes:
            await monitor.execute(command, arguments)
            try:
                async with monitor.clock.deadline(monitor.deadlines.state_ns):
                    async for change in changes:
                        data = understood("JOB_STATUS_CHANGE", JobChange, change).data
                        if data.id == job and data.status == "concluded":
                            break
            except TimeoutError:
                seen = f"job {job} did not conclude in {monitor.deadlines.state_ns / 1e9:g} s"
                raise MonitorTimeoutError(command, seen, arguments=arguments) from None
        jobs = await monitor.ask("query-jobs", list[JobInfo])
        error = next((each.error for each in jobs if each.id == job), "the job is gone")
        await monitor.execute("job-dismiss", {"id": job})
        if error:
            raise CommandFailedError(
                command, f"its job ended with: {error}", arguments=arguments, answer=jobs
            )

"""The guest in which the shams of a cell take place. It is never loaded.

A load may leave a guest's timer worse for good. In that guest ticks would come late after shams as
well, and the loads would be acquitted.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.campaign.instances import Instances
from orchestrator.journal.trial_record import Role
from orchestrator.trial.aim import Saver
from orchestrator.trial.pace import Paces
from orchestrator.vm.instance import Instance


@dataclass(frozen=True, slots=True)
class Unloaded:
    """A guest that was never loaded."""

    instance: Instance
    paces: Paces
    saver: Saver


class ShamGuest:
    """Starts the guest at its first sham."""

    def __init__(
        self,
        instances: Instances,
        stack: contextlib.AsyncExitStack,
        ended: Callable[[Instance], None],
    ) -> None:
        """Prepare.

        Args:
            instances: starts the guest.
            stack: ends the guest.
            ended: hears of the guest when it has ended.
        """
        self._instances = instances
        self._stack = stack
        self._ended = ended
        self._guest: Unloaded | None = None

    async def beside(self, loaded: Instance) -> Unloaded:
        """Return the guest.

        Args:
            loaded: the guest that is loaded. It stands still while the other one runs.

        Raises:
            QemuStartError, GuestStartError: the guest did not start.
            MonitorError: its QEMU ended.
        """
        if self._guest is None:
            self._guest = await self._start(loaded)
        return self._guest

    async def _start(self, loaded: Instance) -> Unloaded:
        instances = self._instances
        started = contextlib.AsyncExitStack()
        instance = await started.enter_async_context(instances.start(Role.SHAM, beside=loaded))
        self._stack.callback(self._ended, instance)
        self._stack.push_async_exit(started)
        paces = instances.paces(instance, Role.SHAM)
        saver = Saver(instance, instances.snapshots, paces, instances.limits)
        return Unloaded(instance, paces, saver)

"""The guest in which the shams of a cell take place. It is never loaded.

A load may leave a guest's timer worse for good. In that guest ticks would come late after shams as
well, and the loads would be acquitted.
"""

import contextlib
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
    """Starts the guest at its first sham. It takes turns with the guest that is loaded.

    Only one of the two runs at a time: they share their CPUs.
    """

    def __init__(
        self, instances: Instances, loaded: Instance, stack: contextlib.AsyncExitStack
    ) -> None:
        """Prepare.

        Args:
            instances: starts the guest.
            loaded: the guest that is loaded.
            stack: ends the guest.
        """
        self._instances = instances
        self._loaded = loaded
        self._stack = stack
        self._guest: Unloaded | None = None
        self.acting: Instance | None = loaded
        """The one of the two that was asked for something last; None while the guest starts."""

    @property
    def instance(self) -> Instance | None:
        """The guest; None if it was never needed."""
        return self._guest.instance if self._guest else None

    async def take_over(self, saver: Saver) -> Unloaded:
        """Stop the guest that is loaded; return this one, which is stopped or has just started.

        Args:
            saver: of the guest that is loaded.

        Raises:
            MonitorError: a QEMU failed.
            QemuStartError, GuestStartError: the guest did not start.
        """
        self.acting = self._loaded
        await saver.stop()
        self.acting = None
        if self._guest is None:
            self._guest = await self._start()
        instance = self._guest.instance
        await self._instances.pin_beside(instance, self._loaded)
        instance.heard_unloaded.clear()  # the records of shams have the times between ticks
        self.acting = instance
        return self._guest

    async def hand_back(self, saver: Saver, paces: Paces) -> None:
        """Stop the guest, and let the one that is loaded run on until it has ticked.

        Args:
            saver: of the guest that is loaded.
            paces: of that guest.

        Raises:
            NoSaveError: that guest does not tick.
            MonitorError: a QEMU failed.
        """
        assert self._guest, "it has never taken over"
        await self._guest.saver.stop()
        paces.learn_clocks(self._guest.paces)
        self.acting = self._loaded
        await saver.run_on()

    async def _start(self) -> Unloaded:
        instances = self._instances
        instance = await self._stack.enter_async_context(
            instances.start(Role.SHAM, beside=self._loaded)
        )
        paces = instances.paces(instance, Role.SHAM)
        saver = Saver(instance, instances.snapshots, paces, instances.limits)
        return Unloaded(instance, paces, saver)

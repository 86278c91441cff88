"""QMP events, as a stream and as a watch for stops."""

import asyncio
import collections
from collections.abc import Mapping
from typing import Any, cast

from qemu.qmp import EventListener, Message, Runstate

from orchestrator.qmp.client import Client
from orchestrator.qmp.errors import MonitorClosedError

#: Events after which the guest may no longer run.
STOPPING_EVENTS = frozenset({"SHUTDOWN", "STOP", "GUEST_PANICKED", "GUEST_CRASHLOADED", "RESET"})


#: Names of events that are kept. Nobody counts them.
MOST_NOTICED = 100


class StopWatch(EventListener):
    """Notes the names of events after which the guest may have stopped."""

    def __init__(self) -> None:
        super().__init__(STOPPING_EVENTS)
        self.noticed: collections.deque[str] = collections.deque(maxlen=MOST_NOTICED)

    async def put(self, event: Message) -> None:
        """Note the name of an event."""
        if self.accept(event):
            self.noticed.append(str(event["event"]))


class EventStream:
    """Events in the order in which they arrive, until the connection ends."""

    def __init__(self, client: Client, listener: EventListener) -> None:
        self._client = client
        self._listener = listener

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> Mapping[str, Any]:
        """Wait for the next event.

        Raises:
            MonitorClosedError: the connection is lost, so that no event will come.
        """
        event = asyncio.create_task(self._listener.get())
        lost = asyncio.create_task(self._client.runstate_changed())
        try:
            if self._client.runstate is Runstate.RUNNING:
                await asyncio.wait({event, lost}, return_when=asyncio.FIRST_COMPLETED)
            if event.done():
                return cast(Mapping[str, Any], event.result())
            raise MonitorClosedError("an event", "the connection is lost")
        finally:
            event.cancel()
            lost.cancel()

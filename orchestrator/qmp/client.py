"""The QMP client of `qemu.qmp`, with a bounded log."""

import collections

from qemu.qmp import Message, QMPClient, Runstate

from orchestrator.clock import Clock

#: Number of QMP messages that are kept as evidence.
LOG_MESSAGES = 200

#: Events that tell of a load, and the status that ends it. (A save and a deletion end alike.)
_LOADED = {"JOB_STATUS_CHANGE": "concluded", "MIGRATION": "completed"}


class Client(QMPClient):
    """A client that keeps its last messages, unformatted."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.log: collections.deque[tuple[int, str, Message]] = collections.deque(
            maxlen=LOG_MESSAGES
        )
        self._clock = clock
        self.resumed_ns = 0
        self.loaded_ns = 0
        # The library's own listener would keep every event of the session.
        self.events.event_filter = lambda _: False

    async def _recv(self) -> Message:
        """Skip events that come before the answer to `qmp_capabilities`.

        QEMU carries out that command first and answers when its dispatcher runs again. In
        between it may emit an event, for instance of an incoming migration (seen with QEMU
        7.2 in about 1 of 100 starts). qemu.qmp takes the first message for the answer.
        """
        message = await super()._recv()
        while "event" in message and self.runstate is Runstate.CONNECTING:
            message = await super()._recv()
        return message

    def _cb_outbound(self, msg: Message) -> Message:
        self.log.append((self._clock.now_ns(), "sent", msg))
        return msg

    def _cb_inbound(self, msg: Message) -> Message:
        now_ns = self._clock.now_ns()
        self.log.append((now_ns, "received", msg))
        event, data = str(msg.get("event")), msg.get("data")
        if event == "RESUME":
            self.resumed_ns = now_ns
        elif event in _LOADED and isinstance(data, dict) and data.get("status") == _LOADED[event]:
            self.loaded_ns = now_ns
        return msg

"""The QMP client of `qemu.qmp`, with a bounded log."""

import collections

from qemu.qmp import Message, QMPClient, Runstate

from orchestrator.clock import Clock

#: QMP messages kept as evidence.
LOG_MESSAGES = 200


class _Client(QMPClient):
    """A client that logs into a bounded deque, instead of formatting for a logger."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.log: collections.deque[tuple[int, str, Message]] = collections.deque(
            maxlen=LOG_MESSAGES
        )
        self._clock = clock
        self.resumed_ns = 0
        # The library's own listener keeps every event of the session for ever.
        self.events.event_filter = lambda _: False

    async def _recv(self) -> Message:
        """Skip events that come before the answer to `qmp_capabilities`.

        QEMU may emit one (of a migration that comes in, say) between carrying that command
        out and answering, which its dispatcher does when it is woken again (7.2, 1 of some
        hundred starts); qemu.qmp takes whatever comes first for the answer.
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
        if msg.get("event") == "RESUME":
            self.resumed_ns = now_ns
        return msg

"""Kernel tracepoints of a lab, recorded by its agent."""

from collections.abc import Collection

from orchestrator.host.tracefs import EVENTS
from orchestrator.lab.host.frames import LinkError
from orchestrator.lab.host.link import Link


class LabTracer:
    """The trace instance of one QEMU in a lab. The agent removes it when that QEMU has ended."""

    def __init__(self, link: Link, number: int) -> None:
        self._link, self._number = link, number

    def begin(self) -> None:
        """Have the QEMU that is started next recorded from its start: it may be one that loads."""
        self.watch(())

    def watch(self, thread_ids: Collection[int]) -> None:
        """Record only these threads' KVM events from now on."""
        threads = " ".join(map(str, thread_ids))
        words = "".join(f"{word}\0" for word in (threads, *EVENTS))
        self._link.send(b"T", self._number, words.encode())

    def mark(self, text: str) -> None:
        """Write a marker into the trace, before whatever QEMU is told next."""
        self._link.send(b"A", self._number, text.encode())

    async def read(self) -> str:
        """Return the trace since the last load, after a line that names the recorded events."""
        try:
            return (await self._link.ask(b"V", self._number, b"")).decode(errors="replace")
        except (OSError, LinkError) as error:
            return f"# events:\n# it could not be read: {error}\n"

    def close(self) -> None:
        """Do nothing: the recording ends with its QEMU."""

"""The process that brings a guest back if losttick dies: its start and its end."""

from collections.abc import Sequence

from orchestrator.attached import guardian
from orchestrator.attached.target import Target
from orchestrator.process.successor import Successor

#: How long the guardian may take, if losttick itself has to leave the guest to it.
PATIENCE_S = guardian.PATIENCE_S + guardian.AGAIN_S


class Lifeline:
    """A running guardian. Made by `Lifeline.start`."""

    def __init__(self, successor: Successor) -> None:
        self._successor = successor

    @classmethod
    async def start(cls, target: Target, snapshot: str) -> "Lifeline":
        """Start a guardian for a snapshot that is not there yet.

        Args:
            target: the virtual machine, which runs.
            snapshot: the name that the snapshot will have.
        """
        link: Sequence[str] = target.link
        fds = []
        if target.stream is not None:
            fds.append(target.stream.fileno())
            link = (*link, str(target.stream.fileno()))
        program = ("-I", "-S", guardian.__file__)
        return cls(await Successor.start(program, (snapshot, *link), pass_fds=fds))

    async def release(self) -> None:
        """Tell the guardian that all is well, and wait for its end."""
        await self._successor.release()

    async def bring_back(self) -> bool:
        """Let the guardian bring the guest back; return whether it did, or QEMU is gone.

        Raises:
            TimeoutError: it took too long.
        """
        return await self._successor.take_over(PATIENCE_S) in (0, 3)

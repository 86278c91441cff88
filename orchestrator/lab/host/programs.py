"""The programs that run in a lab, and what became of the lab."""

import contextlib
from typing import TYPE_CHECKING

from orchestrator.errors import InfraError, LosttickError
from orchestrator.lab.emulator.boot import Lab, LabError
from orchestrator.lab.host.frames import Frame

if TYPE_CHECKING:
    from orchestrator.lab.host.process import LabQemu


class Programs:
    """The programs that run in a lab, and what became of the lab."""

    def __init__(self) -> None:
        self.running: dict[int, LabQemu] = {}
        self.trouble: LabError | None = None

    def hear(self, frame: Frame) -> None:
        """Hand a frame to its program; what an ended program still said goes nowhere.

        Raises:
            FrameError: the program's part in it makes no sense.
        """
        if qemu := self.running.get(frame.qemu):
            qemu.hear(frame)

    def end_all(self, why: str) -> None:
        """Note that every program has ended, because the lab can't be reached any more."""
        for qemu in list(self.running.values()):
            qemu.end(1, str(self.trouble or why))

    async def follow(self, lab: Lab) -> None:
        """Read the kernel's words until the lab ends."""
        try:
            async with contextlib.aclosing(lab.lines()) as lines:
                async for _ in lines:
                    pass
            raise LabError("it ended", lab.serial)
        except LabError as error:
            self.trouble = self.trouble or error
        except LosttickError as error:
            transient = isinstance(error, InfraError) and error.transient
            self.trouble = self.trouble or LabError(str(error), lab.serial, transient=transient)
        self.end_all(str(self.trouble))

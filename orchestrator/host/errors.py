"""The ways in which a host can fail to give a QEMU.

::

    QemuStartError     QEMU could not be started, or ended before it answered
    NoQemuError        QEMU, or a tool that comes with it, is not installed
    NotQemuError       the QEMU that the user named is not there
    NoFactsError       the host's facts lack its QEMU
"""

from collections.abc import Sequence

from orchestrator.errors import InfraError, InputError, UnfitError
from orchestrator.process.exit import ProcessExit


class QemuStartError(InfraError):
    """QEMU could not be started, or ended before it answered."""

    def __init__(
        self,
        seen: str,
        *,
        doing: str = "starting QEMU",
        end: ProcessExit | None = None,
        argv: Sequence[str] = (),
        ended_itself: bool = False,
    ) -> None:
        """Build the message; the command line is left to whoever wants to show it.

        Args:
            seen: what happened, for a person.
            doing: what was being done.
            end: how QEMU ended, if it ran.
            argv: QEMU's command line.
            ended_itself: whether QEMU ended before losttick killed it.
        """
        self.end = end
        self._ended_itself = ended_itself
        self.argv = tuple(argv)
        super().__init__(f"{doing}: {seen}" + (f": {end}" if end else ""))

    @property
    def said(self) -> str:
        """The end of what QEMU wrote to its standard error; empty if it did not run."""
        return self.end.stderr.strip() if self.end else ""

    @property
    def refused(self) -> bool:
        """True if QEMU itself ended and said why: it refused what it was asked for."""
        its_own = self._ended_itself and self.end is not None and not self.end.of_its_host
        return its_own and bool(self.said)


class NoQemuError(UnfitError):
    """QEMU, or a tool that comes with it, is not installed."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"looking for QEMU: there is no {name} on PATH. "
            "`losttick doctor --fix` installs it (as root), "
            "or apt-get install qemu-system-x86 qemu-utils."
        )


class NotQemuError(InputError):
    """The QEMU that the user named is not there."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"looking for QEMU: {name!r} is not an executable file")


class NoFactsError(InfraError):
    """The facts of a host lack its QEMU."""

    def __init__(self) -> None:
        super().__init__(
            "reading the host's facts: they do not say which QEMU the host has. "
            "Take the host from open_host(), which asks QEMU what it is."
        )

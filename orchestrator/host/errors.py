"""The ways in which a host can fail to give a QEMU.

::

    QemuStartError     QEMU could not be started, or ended before it answered
    NoQemuError        QEMU, or a tool that comes with it, is not installed
    NotQemuError       the QEMU that the user named is not there
    NoFactsError       the host's facts lack its QEMU
    NoAttachError      the host cannot attach to a QEMU that is running already
    QemuSocketError    the sockets given for a running QEMU cannot be used
    NotOwnedError      the request would end or replace a QEMU that losttick did not start
"""

import errno
import os
from collections.abc import Sequence

from orchestrator.errors import InfraError, InputError, UnfitError, says_no_room
from orchestrator.process.exit import ProcessExit
from orchestrator.process.own_command import own_command

#: Exit status of a QEMU that refuses its arguments.
_REFUSAL = 1

#: Words that end a message of QEMU if the host denies this user something, or has a fault.
_DENIED = tuple(os.strerror(number) for number in (errno.EACCES, errno.EPERM, errno.EIO))


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
        starved: bool = False,
    ) -> None:
        """Build the message; the command line is left to whoever wants to show it.

        Args:
            seen: what happened, for a person.
            doing: what was being done.
            end: how QEMU ended, if it ran.
            argv: QEMU's command line.
            ended_itself: whether QEMU ended before losttick killed it.
            starved: whether it was late because its threads waited for a CPU.
        """
        self.end = end
        self._ended_itself = ended_itself
        self._starved = starved
        self.argv = tuple(argv)
        super().__init__(f"{doing}: {seen}" + (f": {end}" if end else ""))

    @property
    def said(self) -> str:
        """The end of what QEMU wrote to its standard error; empty if it did not run."""
        return self.end.stderr.strip() if self.end else ""

    @property
    def refused(self) -> bool:
        """True if QEMU itself ended in order and said why: it refused what it was asked for.

        An abort is no refusal. Neither is a host that has no room, or that denies access: it
        may do so to any QEMU.
        """
        end = self.end
        if end is None or not self._ended_itself or end.of_its_host or end.code != _REFUSAL:
            return False
        denied = self.transient or any(words in self.said for words in _DENIED)
        return bool(self.said) and not denied

    @property
    def transient(self) -> bool:
        """True if the host had no room or no time for it at the moment."""
        return self._starved or says_no_room(str(self))


class NoQemuError(UnfitError):
    """QEMU, or a tool that comes with it, is not installed."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"looking for QEMU: there is no {name} on PATH. "
            f"`sudo {own_command()} doctor --fix` installs it, "
            "or apt-get install qemu-system-x86 qemu-utils."
        )


class NotQemuError(InputError):
    """The QEMU that the user named is not there."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"looking for QEMU: {name!r} is not an executable file")


class NoAttachError(UnfitError):
    """The host cannot attach to a QEMU that is running already."""

    def __init__(self, why: str) -> None:
        super().__init__(f"attaching to a running QEMU: {why}")


class QemuSocketError(InputError):
    """The sockets given for a running QEMU cannot be used."""

    def __init__(self, seen: str) -> None:
        super().__init__(f"attaching to a running QEMU: {seen}")


class NotOwnedError(UnfitError):
    """The request would end or replace a QEMU that losttick did not start."""

    def __init__(self, request: str) -> None:
        super().__init__(
            f"{request}: this QEMU was running before losttick came and must stay. "
            "Use a snapshot method that loads into the running QEMU (hmp or jobs)."
        )


class NoFactsError(InfraError):
    """The facts of a host lack its QEMU."""

    def __init__(self) -> None:
        super().__init__(
            "reading the host's facts: they do not say which QEMU the host has. "
            "Take the host from open_host(), which asks QEMU what it is."
        )

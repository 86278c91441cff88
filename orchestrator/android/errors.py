"""The ways in which the Android Emulator can fail a test.

::

    NoEmulatorError        the emulator is not installed
    NoAvdError             there is no AVD of that name, or none was named
    NotRunningError        no emulator runs that could be attached to
    EmulatorStartError     the emulator ended before its guest had booted, or could not be run
    NotBootedError         the guest did not boot in time
    EmulatorDiedError      the emulator ended in the middle of the test
    WrongTokenError        the console refuses the authentication token
    CannotSaveError        the emulator refuses to save a snapshot
    ConsoleError           the emulator's console
    ├── NoConsoleError       nobody answers at its port
    ├── ConsoleTimeoutError  no answer within the deadline: whether the command ran is unknown
    ├── ConsoleClosedError   the connection ended
    └── RefusedError         `KO:`, with the emulator's reason
"""

from collections.abc import Sequence

from orchestrator.errors import InfraError, InputError, UnfitError
from orchestrator.process.exit import ProcessExit

#: Characters of a reason that an error quotes.
_SHOWN = 300


class NoEmulatorError(UnfitError):
    """The Android Emulator, or a tool of its SDK, is not installed."""

    def __init__(self, tool: str, looked: Sequence[str]) -> None:
        self.looked = tuple(looked)
        super().__init__(
            f"looking for the Android SDK's {tool}: it is in none of {', '.join(looked)}. Name it "
            f"with --{tool}. `losttick doctor --android` says how to get it."
        )


class NoAvdError(InputError):
    """There is no virtual device of that name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        there = f"there are {', '.join(known)}" if known else "there is no virtual device at all"
        super().__init__(
            f"looking for the virtual device {name!r}: {there}. `emulator -list-avds` lists the "
            "names; the devices of another user, or of root, are not among them."
        )


class NotRunningError(InputError):
    """No emulator runs that could be attached to, or more than one."""

    def __init__(self, seen: str) -> None:
        super().__init__(f"looking for a running emulator: {seen}")


class EmulatorStartError(InfraError):
    """The emulator could not be run, or ended before its guest had booted."""

    def __init__(self, seen: str, end: ProcessExit | None = None) -> None:
        super().__init__(f"starting the emulator: {seen}" + _how(end))


class NotBootedError(InfraError):
    """The guest did not boot in time."""

    def __init__(self, within_s: float, lacking: str) -> None:
        super().__init__(
            f"waiting for Android to boot: {lacking} in {within_s:g} s. Start the virtual device "
            "by hand, to see what it waits for; give a slow computer more time with --boot-within."
        )


class EmulatorDiedError(InfraError):
    """The emulator ended in the middle of the test."""

    def __init__(self, doing: str, end: ProcessExit | None = None) -> None:
        self.doing = doing
        self.end = end
        super().__init__(f"{doing}: the emulator ended" + _how(end))


def _how(end: ProcessExit | None) -> str:
    if end is None:
        return ""
    words = f"; its last words: {end.last_words}" if end.last_words else ""
    return f" ({end.by}{words})"


class WrongTokenError(UnfitError):
    """The console refuses the authentication token, or needs one that can't be read."""

    def __init__(self, seen: str) -> None:
        super().__init__(
            f"authenticating at the emulator's console: {seen}. Run losttick as the user who "
            "started the emulator."
        )


class CannotSaveError(UnfitError):
    """The emulator refuses to save a snapshot, so that none can be loaded."""

    def __init__(self, reason: str) -> None:
        advice = (
            " Start it without -read-only."
            if "read-only" in reason
            else " Look whether the virtual device's disk has room, and whether the emulator can "
            "save a snapshot by its own window."
        )
        super().__init__(f"saving a snapshot: {reason}.{advice}")


class ConsoleError(InfraError):
    """The emulator's console did not do what it was asked for."""

    def __init__(self, command: str, seen: str) -> None:
        self.command = command
        self.seen = seen
        super().__init__(f"emulator console, `{command}`: {seen}")


class NoConsoleError(ConsoleError):
    """Nobody answers at the console's port."""


class ConsoleTimeoutError(ConsoleError):
    """No answer came within the deadline: whether the command ran is unknown."""


class ConsoleClosedError(ConsoleError):
    """The connection ended, which it does when the emulator ends."""


class RefusedError(ConsoleError):
    """The console answered `KO:`."""

    def __init__(self, command: str, reason: str) -> None:
        self.reason = reason[:_SHOWN] or "no reason given"
        super().__init__(command, f"the emulator refuses: {self.reason}")

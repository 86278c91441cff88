"""Runs the build of a commit: its log, its progress, and the reason why it failed."""

import collections
import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import InfraError, LosttickError, TransientError, UnfitError
from orchestrator.lab.kernel.modules import ModuleBuildError

#: Variables of the user's shell that would change a kernel's build.
_OTHERS = (
    "MAKEFLAGS", "MAKEFILES", "MFLAGS", "KBUILD_OUTPUT", "KCFLAGS", "KCPPFLAGS", "KAFLAGS", "ARCH",
    "CROSS_COMPILE", "LLVM", "O", "V", "W", "M", "KCONFIG_CONFIG", "KCONFIG_ALLCONFIG",
    "LOCALVERSION", "KERNELRELEASE",
)  # fmt: skip


#: make in a shell without those.
MAKE = ("env", *(word for name in _OTHERS for word in ("-u", name)), "make")


#: Lines of the log that an error quotes.
_QUOTED = 8


#: Seconds between two messages of progress.
_SAY_EVERY_S = 20.0


#: What a build prints where its host lacks a tool or a library, so that no commit would build.
_LACKING = re.compile(
    r"(?:^|[\s/])([\w.+-]+): (?:command )?not found$"
    r"|fatal error: ((?:openssl|libelf|gelf|elfutils)[\w./]*\.h): No such file",
)


#: What a build prints where its host has no memory or no room on its disk at the moment.
_NO_ROOM = re.compile(
    r"Killed signal terminated program|internal compiler error: Killed"
    r"|: (?:No space left on device|Disk quota exceeded|Cannot allocate memory)$"
    r"|virtual memory exhausted"
)


class CommitBuildError(InfraError):
    """A commit does not build. Nothing is learnt about its KVM, and another commit may build."""

    of_subject = True


class BuildHostError(UnfitError):
    """The host lacks a tool or a library that the build needs."""


@dataclass(slots=True)
class Build:
    """The build of one commit."""

    title: str
    """The commit, in messages."""
    log: Path
    """The file that gets everything that the build prints. It is begun anew."""
    say: Callable[[str], None]
    _compiled: int = 0
    _began_s: float = field(default_factory=time.monotonic)
    _said_s: float = field(default_factory=time.monotonic)
    _odd: str = ""
    _no_room: str = ""
    _last: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=_QUOTED))

    def __post_init__(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")

    @contextlib.contextmanager
    def step(self, doing: str) -> Iterator[Callable[[str], None]]:
        """Give a function that takes each line of a step's output, as it comes.

        Raises:
            CommitBuildError: the step failed, with the last lines of the log.
            BuildHostError: it failed for want of a tool.
            TransientError: it failed for want of memory or room.
        """
        with self.log.open("a", errors="replace") as log:

            def hear(line: str) -> None:
                log.write(f"{line}\n")
                self._hear(line)

            try:
                yield hear
            except ModuleBuildError as error:
                raise self._reason(doing, error) from None

    def _hear(self, line: str) -> None:
        self._last.append(line)
        if lacking := _LACKING.search(line):
            self._odd = lacking[1] or lacking[2]
        if _NO_ROOM.search(line):
            self._no_room = line
        if line.startswith(("CC ", "AS ", "LD ")):
            self._compiled += 1
            self._say_progress()

    def _say_progress(self) -> None:
        now = time.monotonic()
        if now - self._said_s >= _SAY_EVERY_S:
            self._said_s = now
            self.say(
                f"building {self.title}: {self._compiled} files compiled in "
                f"{now - self._began_s:.0f} s"
            )

    def _reason(self, doing: str, error: LosttickError) -> LosttickError:
        if self._no_room:
            return TransientError(f"{doing}: this host has no room or no memory: {self._no_room}")
        if self._odd:
            return BuildHostError(
                f"{doing}: this host has no {self._odd}. Install it. The log: {self.log}"
            )
        said = "\n".join(f"  {line}" for line in self._last if line)
        why = str(error).partition(": ")[2]
        return CommitBuildError(f"{doing}: {why}. The last lines of {self.log}:\n{said}")

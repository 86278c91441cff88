"""Tests of one candidate: the seam between the engine that chooses and whoever boots."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from orchestrator.bisect.candidate import Candidate


class Stage(StrEnum):
    """The step at which a candidate turned out to be untestable."""

    BUILD = "build"
    BOOT = "boot"
    TEST = "test"
    """The candidate booted, but what was seen says neither that it loses nor that it is clean."""


@dataclass(frozen=True, slots=True)
class Tested:
    """Loads of one boot of a candidate, up to the last loss that was asked for."""

    loads: int
    """Loads that ended with a loss or with ordinary ticks; others are not counted."""
    losses: int
    """Loads after which a diagnosed loss was seen."""
    seconds: float
    """Time for build, boot and loads."""
    evidence: str
    """Path of the result's folder, or a sentence."""
    signature: str = ""
    """Digest of the kernel that ran; candidates of one signature are one kernel. "" if unknown."""


@dataclass(frozen=True, slots=True)
class Untestable:
    """A candidate about which nothing was learnt. It is never taken for one that loses."""

    why: str
    """What was seen, with the path of the log if there is one."""
    seconds: float
    stage: Stage


@dataclass(frozen=True, slots=True)
class Same:
    """A candidate that was built but not booted: its kernel was tested as another candidate's."""

    signature: str
    """The digest that an earlier `Tested` has."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Expected time for a test."""

    start_s: float
    """Time to build and boot the candidate."""
    load_s: float
    """Time for one load."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a person is told before a bisection begins."""

    disk_bytes: int
    """Room that builds and results take at most."""
    words: tuple[str, ...] = ()
    """Sentences: what is built and booted, and where."""


def most_tests(candidates: int) -> int:
    """Return the tests that a bisection hardly ever exceeds: twice as many as halving takes."""
    return min(candidates, 2 * candidates.bit_length() + 4)


class Tester(Protocol):
    """Builds and boots candidates, and loads snapshots in them."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Whatever the results depend on, such as plan and configuration, by name.

        The log keeps the settings. A bisection is resumed only with the same ones.
        """
        ...

    def needs(self, candidates: int) -> Needs:
        """Return what a bisection of that many candidates takes."""
        ...

    def cost(self, candidate: Candidate) -> Cost:
        """Return the expected time for a test. Called often: it looks nothing up."""
        ...

    def tested_before(self, name: str, signature: str) -> None:
        """Note a test of an earlier session, so that its kernel is not tested again as another's.

        Args:
            name: of the candidate.
            signature: of `Tested`.
        """
        ...

    async def test(
        self, candidate: Candidate, loads: int, losses: int = 1
    ) -> Tested | Untestable | Same:
        """Build the candidate, boot it once, and load snapshots until it has lost often enough.

        Args:
            candidate: one of the history.
            loads: the highest number of loads, at least 1.
            losses: the number of losses after which to stop. A tester may stop at the first one;
                the engine then needs some boots more. More than one is asked for only at the end
                that loses, to learn how rarely it does.

        Returns:
            Tested: at least one load was counted.
            Untestable: nothing was learnt, such as after a failed build or an anomaly.
            Same: the candidate was built for the first time, and its kernel is the one of
                another candidate that was tested. It was not booted.

        Raises:
            LosttickError: not the candidate but the host is at fault. The bisection stops; it
                can be resumed.
        """
        ...

    async def close(self) -> None:
        """End all processes and remove all temporary files. May be called twice."""
        ...

"""The results of an examination, as data."""

import shlex
from dataclasses import dataclass

from orchestrator.bugs.exposure import Exposure
from orchestrator.host.facts import HostFacts


@dataclass(frozen=True, slots=True)
class Mend:
    """A command that would turn a bad finding into a good one."""

    command: tuple[str, ...]
    safe: bool
    """True if the command only adds what is missing, so that `doctor --fix` may run it."""
    then: str = ""
    """The step after the command, in words that end a sentence."""

    def __str__(self) -> str:
        command = shlex.join(self.command)
        return f"{command}, {self.then}" if self.then else command


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    good: bool
    seen: str
    mend: Mend | None = None
    allows_verdict: bool = False
    """True if a good finding of this kind is all that `losttick run` needs for a verdict."""

    @property
    def in_words(self) -> str:
        """What was seen, and the command that would mend it, as one sentence or two."""
        mend = f". To mend this: `{shlex.join(self.mend.command)}`" if self.mend else ""
        then = f", {self.mend.then}" if self.mend and self.mend.then else ""
        return f"{self.subject}: {self.seen.rstrip('.')}{mend}{then}"


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything that was found on this host."""

    facts: HostFacts
    exposure: Exposure
    """The exposure of one-shot guests under KVM."""
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """True if `losttick run` can give a verdict here."""
        return any(finding.good and finding.allows_verdict for finding in self.findings)

    @property
    def safe_mends(self) -> tuple[Mend, ...]:
        """The mends that `doctor --fix` may run, each once."""
        mends = (finding.mend for finding in self.findings)
        return tuple(dict.fromkeys(mend for mend in mends if mend and mend.safe))

    @property
    def mends_for_a_person(self) -> dict[str, Mend]:
        """The mends that `doctor --fix` leaves to its user, by what they mend."""
        return {f.subject: f.mend for f in self.findings if f.mend and not f.mend.safe}

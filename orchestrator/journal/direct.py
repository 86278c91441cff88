"""Folds the records of a direct test of KVM_SET_LAPIC.

The journal of a direct test begins with a `direct` record, and with a `lab` record for each
host that a lab is to boot. Each tested host then has a `host` record with its facts, one `series`
record for each restored current count as soon as it is counted, one in the role `control`, and
another `lab` record. A `verdict` record ends it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.series import Series
from orchestrator.guest.config import DEFAULT_TIMER
from orchestrator.host.boot import Boot
from orchestrator.host.facts import HostFacts
from orchestrator.journal.counts import OrderError
from orchestrator.journal.file import apply_each
from orchestrator.journal.records import (
    DirectRecord,
    FailureRecord,
    HostRecord,
    InterruptedRecord,
    LabRecord,
    Record,
    SeriesRecord,
    SkipRecord,
    VerdictRecord,
)
from orchestrator.journal.trial_record import Role


@dataclass(slots=True)
class TestedHost:
    """The counts of a direct test on one host so far."""

    facts: HostFacts | None = None
    """None until the host came up."""
    lab: LabIdentity | None = None
    series: list[Series] = field(default_factory=list)
    control: Series | None = None
    """Timers that were restored with TMICT 0, which never fire: each must be lost."""
    failure: str | None = None
    """Why the test of this host ended early."""
    transient: bool = False
    """True if it did because there was no time or no room for it."""
    skipped: str | None = None
    """Why this host can't be tested."""


@dataclass(slots=True)
class DirectState:
    """The state of a direct test after some of its records."""

    losttick: str = ""
    confidence: float = 0.95
    mode: str = DEFAULT_TIMER
    """The mode of the timers that are restored."""
    period_ns: int = 0
    """The period of these timers that was asked for; 0 if nobody noted it."""
    began_at: str = ""
    """UTC, in ISO 8601."""
    ended_at: str = ""
    hosts: dict[str, TestedHost] = field(default_factory=dict)
    """By name, in the order of the first record."""
    verdict: str | None = None
    """The verdict that ended the test; None until then."""
    interrupted: str | None = None
    boot: Boot = field(default_factory=Boot)
    """The boot of the host from which losttick ran."""

    @property
    def went_down(self) -> str:
        """Where that host stopped, if the test noted no end, in words."""
        if self.verdict is not None or self.interrupted is not None:
            return ""
        for name, host in self.hosts.items():
            if host.control is None and host.failure is None and host.skipped is None:
                return f"in the test of {name}"
        return ""

    def apply(self, record: Record) -> None:
        """Change the state by the next record.

        Raises:
            OrderError: the record can't follow those before it.
        """
        match record:
            case DirectRecord():
                if self.hosts:
                    raise OrderError("a second direct test begins in the same journal")
                self.losttick, self.confidence = record.losttick, record.confidence
                self.mode, self.began_at = record.mode, record.at
                self.period_ns = record.period_ns
                self.boot = Boot(record.boot_id, record.machine)
                self.hosts = {name: TestedHost() for name in record.hosts}
            case HostRecord():
                self._host(record.cell or "").facts = record.facts
            case LabRecord():
                self._host(record.cell).lab = record.lab
            case SeriesRecord(role=Role.CONTROL):
                self._host(record.host).control = record.series
            case SeriesRecord():
                self._host(record.host).series.append(record.series)
            case FailureRecord():
                host = self._host(record.cell)
                host.failure, host.transient = record.error, record.transient
            case SkipRecord():
                self._host(record.cell).skipped = record.why
            case VerdictRecord():
                self.verdict, self.ended_at = record.verdict, record.at
            case InterruptedRecord():
                self.interrupted, self.ended_at = record.why, record.at
            case _:
                raise OrderError("the record does not belong in the journal of a direct test")

    def _host(self, name: str) -> TestedHost:
        try:
            return self.hosts[name]
        except KeyError:
            raise OrderError(f"the test has no host {name!r}") from None


def fold_direct(records: Iterable[Record]) -> DirectState:
    """Return the state of a direct test after some records.

    Raises:
        OrderError: they can't follow each other.
    """
    state = DirectState()
    for record in records:
        state.apply(record)
    return state


def read_direct_state(path: Path) -> DirectState:
    """Return the state of the direct test whose journal this is.

    Raises:
        OSError: the file can't be read.
        JournalFormatError: the file can't be understood.
    """
    state = DirectState()
    apply_each(path, state.apply)
    return state

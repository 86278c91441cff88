"""The records of a journal, one frozen class a kind.

A journal is one record a line. Its first record says what was run and has the number of
the format. A field that is missing in a line has the default that its class gives here,
so that the line of a trial that ticked on is short: a nightly journal has a million.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.bugs.exposure import ApicvTrace
from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.period import PeriodTried
from orchestrator.findings.save import Save
from orchestrator.findings.series import DirectCounts, Series
from orchestrator.guest.config import DEFAULT_TIMER
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.journal.trouble_records import FailureRecord as FailureRecord
from orchestrator.journal.trouble_records import OutOfTimeRecord as OutOfTimeRecord
from orchestrator.journal.trouble_records import OverdueRecord as OverdueRecord
from orchestrator.journal.trouble_records import PauseRecord as PauseRecord
from orchestrator.journal.trouble_records import SkipRecord as SkipRecord
from orchestrator.plan.cell import Cell
from orchestrator.vm.config import Accel

#: The format that is written. A reader refuses journals of a newer one.
FORMAT = 1


# --- what a journal begins with ---


@dataclass(frozen=True, slots=True)
class RunRecord:
    """`run`: a run begins. The first record of its journal."""

    format: int
    losttick: str
    """The version of losttick."""
    seed: int
    guests: dict[str, str]
    """SHA-256 of the image of each guest that the run's cells name, by the guest's name."""
    at: str = ""
    boot_id: str = ""
    """The kernel's name for the present boot of the host; empty if it is not known."""
    machine: str = ""
    """A digest by which the machine is known again; empty if it is not known."""


@dataclass(frozen=True, slots=True)
class DirectRecord:
    """`direct`: a direct test of KVM_SET_LAPIC begins. The first record of its journal."""

    format: int
    losttick: str
    hosts: tuple[str, ...]
    """Names of the hosts that are to be tested."""
    confidence: float
    """Confidence of the intervals."""
    at: str = ""
    mode: str = DEFAULT_TIMER
    """The mode of the timers that are restored."""
    boot_id: str = ""
    """As in `run`, of the host from which losttick runs."""
    machine: str = ""
    period_ns: int = 0
    """The period that was asked for; 0 if nobody noted it."""


@dataclass(frozen=True, slots=True)
class HostRecord:
    """`host`: the facts of a host.

    Without `cell`, the host of the session, from which losttick runs. With `cell`, the host
    on which that cell is counted from here on; `facts` is None if it is the session's own.
    In a direct test, `cell` is the name of a tested host, and `facts` are its facts.
    """

    facts: HostFacts | None = None
    cell: str | None = None
    deadlines: Deadlines = DEFAULT_DEADLINES
    """How long each kind of step may take on the host of that cell."""
    loader: QemuFacts | None = None
    """The QEMU that loads, if it is another one than the QEMU that saves."""
    at: str = ""


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """`plan`: the plan as it was understood, and its cells."""

    plan: dict[str, Any]
    cells: tuple[Cell, ...]
    auto: Accel
    """The accelerator that stands for `auto`."""


@dataclass(frozen=True, slots=True)
class ResumedRecord:
    """`resumed`: the run goes on after an interruption."""

    losttick: str
    guests: dict[str, str]
    facts: HostFacts
    """Facts of the host on which it goes on."""
    changed: dict[str, tuple[Any, Any]]
    """Facts that differ from the session before, by name: before and after."""
    at: str = ""
    boot_id: str = ""
    """The kernel's name for the present boot of the host; empty if it is not known."""
    machine: str = ""
    """A digest by which the machine is known again; empty if it is not known."""


# --- what happens to a cell ---


@dataclass(frozen=True, slots=True)
class LabRecord:
    """`lab`: what the host of a cell is made of, if a lab booted it.

    Written as the run begins, once the host is up, and when the host has ended, with what its
    modules counted. The last one counts. The first one says which verdict is expected of an
    arm that never ran. In a direct test, `cell` is the name of the host.
    """

    cell: str
    lab: LabIdentity


@dataclass(frozen=True, slots=True)
class RestartRecord:
    """`restart`: what the cell has counted was counted on another host, and is dropped."""

    cell: str
    why: str


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """`instance`: a QEMU has started."""

    cell: str
    role: Role
    number: int
    """Counts the instances of the run, and names the file of the console."""
    argv: tuple[str, ...]
    vcpu_threads: tuple[int, ...]
    pinned_cpus: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class LoaderRecord:
    """`loader`: the first QEMU that was started to load. The cell's others are like it."""

    cell: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConsoleRecord:
    """`console`: what was counted on the console of an instance that has ended."""

    cell: str
    received_bytes: int
    garbled: int = 0
    """Lines in the form of the guest's lines, but with a wrong checksum."""
    dropped_bytes: int = 0
    copy_error: str | None = None
    """Why the copy in the output folder ends early."""


@dataclass(frozen=True, slots=True)
class SaveRecord:
    """`save`: a save, or an attempt at one that was not eligible."""

    cell: str
    save: Save
    role: Role = Role.HOST


@dataclass(frozen=True, slots=True)
class PeriodRecord:
    """`period`: the timer period was chosen of a cell whose plan says `auto`."""

    cell: str
    period_ns: int
    tried: tuple[PeriodTried, ...]
    """The periods that were tried, the shortest first, and what was measured at each."""


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """`trace`: what the kernel's tracepoints showed of APICv while the guest ticked."""

    cell: str
    seen: ApicvTrace


@dataclass(frozen=True, slots=True)
class WitnessRecord:
    """`witness`: the direct test was asked about the cell."""

    cell: str
    counts: DirectCounts | None = None
    """Its counts; None if it could not be run."""
    failure: str = ""
    """Why it could not be run."""


@dataclass(frozen=True, slots=True)
class CellRecord:
    """`cell`: the cell is done.

    The counts and the verdict are there for a reader of the file. losttick computes them
    anew from the records before.
    """

    cell: str
    verdict: str
    why: str
    exposure: Mapping[str, Any]
    loss_rate: Mapping[str, Any]
    outcomes: Mapping[str, int]
    diagnoses: Mapping[str, int]
    controls: tuple[Mapping[str, Any], ...]
    at: str = ""


# --- a direct test ---


@dataclass(frozen=True, slots=True)
class SeriesRecord:
    """`series`: trials of a direct test with one current count."""

    host: str
    """The name of the tested host, as its `host` record has it."""
    series: Series
    role: Role = Role.HOST
    """`control` for timers restored with TMICT 0, which never fire: each must be lost."""


# --- what a journal ends with ---


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """`verdict`: the end of a run or of a direct test. For a reader of the file, too."""

    verdict: str
    cells: dict[str, str]
    statement: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class InterruptedRecord:
    """`interrupted`: the run ended early."""

    by: str
    """The name of the exception."""
    error: str = ""
    at: str = ""

    @property
    def why(self) -> str:
        """The reason in words."""
        stopped = self.by in ("CancelledError", "KeyboardInterrupt")
        by = "a signal stopped it" if stopped else self.by
        return f"{by}: {self.error}" if self.error else by


Record = (
    RunRecord | DirectRecord | HostRecord | PlanRecord | ResumedRecord | LabRecord
    | RestartRecord | InstanceRecord | LoaderRecord | ConsoleRecord | SaveRecord | TrialRecord
    | PeriodRecord | TraceRecord | WitnessRecord | PauseRecord | FailureRecord | SkipRecord
    | OutOfTimeRecord | OverdueRecord
    | CellRecord | SeriesRecord | VerdictRecord | InterruptedRecord
)  # fmt: skip

#: Each class by the name that a line has in `record`.
KINDS: Mapping[str, type[Record]] = {
    "run": RunRecord,
    "direct": DirectRecord,
    "host": HostRecord,
    "plan": PlanRecord,
    "resumed": ResumedRecord,
    "lab": LabRecord,
    "restart": RestartRecord,
    "instance": InstanceRecord,
    "loader": LoaderRecord,
    "console": ConsoleRecord,
    "save": SaveRecord,
    "trial": TrialRecord,
    "period": PeriodRecord,
    "trace": TraceRecord,
    "pause": PauseRecord,
    "witness": WitnessRecord,
    "failure": FailureRecord,
    "skip": SkipRecord,
    "out-of-time": OutOfTimeRecord,
    "overdue": OverdueRecord,
    "cell": CellRecord,
    "series": SeriesRecord,
    "verdict": VerdictRecord,
    "interrupted": InterruptedRecord,
}

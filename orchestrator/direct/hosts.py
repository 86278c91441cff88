"""A direct test of one or more hosts: runs it, and journals everything that it counts."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.campaign.together import run_together
from orchestrator.errors import InfraError, UnfitError
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.series import Series
from orchestrator.guest.lapic_mode import DEFAULT_MODE, LapicMode
from orchestrator.host.boot import boot_here
from orchestrator.host.facts import HostFacts
from orchestrator.journal.direct import DirectState
from orchestrator.journal.file import JOURNAL, Journal, JournalError
from orchestrator.journal.line import decode
from orchestrator.journal.recorder import failure_record
from orchestrator.journal.records import (
    FORMAT,
    DirectRecord,
    HostRecord,
    InterruptedRecord,
    LabRecord,
    Record,
    SeriesRecord,
    SkipRecord,
    VerdictRecord,
)
from orchestrator.journal.trial_record import Role
from orchestrator.verdict.direct import DirectResult, judge_direct
from orchestrator.version import __version__


@dataclass(frozen=True, slots=True)
class HostLog:
    """Journals what one host shows as soon as it does: an interrupt loses nothing of it."""

    name: str
    write: Callable[[Record], None]

    def came_up(self, facts: HostFacts) -> None:
        """Note that the host is there."""
        self.write(HostRecord(facts, self.name))

    def identified(self, lab: LabIdentity) -> None:
        """Note the identity of the lab that booted the host."""
        self.write(LabRecord(self.name, lab))

    def counted(self, series: Series, role: Role = Role.HOST) -> None:
        """Note the trials with one current count."""
        self.write(SeriesRecord(self.name, series, role))


@dataclass(frozen=True, slots=True)
class Subject:
    """One host to test."""

    name: str
    test: Callable[[HostLog], Awaitable[None]]
    """Tests the host, and notes each count. An UnfitError skips the host; an InfraError is
    journalled."""
    lab: LabIdentity | None = None
    """The identity of the lab that will boot the host, as far as it is known before."""


async def run_direct(
    subjects: Sequence[Subject],
    confidence: float,
    out: Path,
    parallel: int = 1,
    mode: LapicMode = DEFAULT_MODE,
    *,
    period_ns: int = 0,
    shared_out: bool = False,
) -> DirectResult:
    """Test hosts, and return the verdicts that their journal gives.

    Args:
        subjects: the hosts; their names differ.
        confidence: confidence of the intervals.
        out: folder for the journal.
        parallel: number of hosts that are tested at a time.
        mode: the mode of the timers that are restored.
        period_ns: their period.
        shared_out: whether `out` may be a folder that other users can write to.

    Raises:
        OutFolderError: another user can write to `out`.
        JournalError: the journal can't be written.
    """
    state = DirectState()
    with Journal(out / JOURNAL, shared=shared_out) as journal:

        def write(record: Record) -> None:
            # As it was written, with its time: what a later reader of the journal reads.
            state.apply(decode(journal.write(record)))

        names = tuple(subject.name for subject in subjects)
        boot = boot_here()
        write(
            DirectRecord(
                FORMAT, __version__, names, confidence, mode=mode, boot_id=boot.id,
                machine=boot.machine, period_ns=period_ns,
            )
        )  # fmt: skip
        for subject in subjects:
            if subject.lab:
                write(LabRecord(subject.name, subject.lab))
        turns = asyncio.Semaphore(parallel)

        def interrupted(error: BaseException) -> None:
            # If the journal can't be written, the first error counts.
            with contextlib.suppress(JournalError):
                write(InterruptedRecord(type(error).__name__, str(error)))

        tests = (_test(subject, turns, write) for subject in subjects)
        await run_together(tests, journal, interrupted)
        result = judge_direct(state, journal.path)
        write(VerdictRecord(result.verdict, {each.name: each.verdict for each in result.hosts}))
    return judge_direct(state, journal.path)


async def _test(
    subject: Subject, turns: asyncio.Semaphore, write: Callable[[Record], None]
) -> None:
    async with turns:
        try:
            await subject.test(HostLog(subject.name, write))
        except JournalError:
            raise
        except UnfitError as error:
            write(SkipRecord(subject.name, str(error)))
        except InfraError as error:
            write(failure_record(subject.name, error))

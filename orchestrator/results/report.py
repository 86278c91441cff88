"""A run or a direct test, in the form that every output is written from."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from orchestrator.bugs.catalogue import APICV_BUG, NARROW_RACE
from orchestrator.bugs.exposure import Exposure
from orchestrator.bugs.likeness import Likeness
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.host.facts import HostFacts
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.journal_file import LONGEST_LINE, open_journal
from orchestrator.journal.trial_record import TrialRecord
from orchestrator.results.direct import is_direct, read_direct_result
from orchestrator.results.meaning import cell_meaning, meaning
from orchestrator.results.result import read_result
from orchestrator.results.status import Status, overall_status, status
from orchestrator.results.summary import known_bugs
from orchestrator.stats.rate import LossRate
from orchestrator.verdict.direct import DirectResult, HostResult
from orchestrator.verdict.pattern import Pattern, read_pattern
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Ended, Verdict

#: A date, a time and a zone. `datetime.fromisoformat` reads other forms, too.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Case:
    """A cell of a run, or a host of a direct test."""

    name: str
    """The id of the cell, or the name of the host. It is the same in every run of one plan."""
    ended: Ended
    accepted: bool
    """True if the plan accepts that the cell was skipped."""
    why: str
    meaning: str
    """What was seen, and what that shows and does not show about the host."""
    exposure: Exposure
    trials: int
    lost: int
    outcomes: Mapping[str, int]
    """The trials by outcome, in the words of `Outcome`."""
    causes: Mapping[str, int]
    rate: LossRate | None
    """None for a direct test, whose series have a rate each."""
    known_bugs: tuple[Likeness, ...] = ()
    """The bug that makes the case `affected`, and those that trials look like."""
    facts: HostFacts | None = None
    """The host on which the case was counted; None if it did not come up."""
    lab: LabIdentity | None = None
    expected: Verdict | None = None
    """The verdict that an arm of a lab must get; None if its verdict is the question."""
    asked: bool = True
    """False for an arm of a lab whose verdict is a mere observation: an edited kernel without a
    known answer, beside untouched ones."""
    evidence: tuple[str, ...] = ()
    """The evidence folders, within the run's folder, in the order of the trials."""
    kept: tuple[TrialRecord, ...] = ()
    """The trials that have an evidence folder, in their order."""
    result: CellResult | HostResult | None = None
    """The whole result, for an output that has room for more."""
    began_at: str = ""
    """UTC, in ISO 8601; empty if it never began."""
    ended_at: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict of the case."""
        return self.ended.verdict

    @property
    def status(self) -> Status:
        """What became of the case, in the words that CI systems share."""
        return status(self.ended, self.expected, asked=self.asked)

    @property
    def bug(self) -> Likeness | None:
        """The known bug that was found; None if the verdict is not `affected`."""
        return self.known_bugs[0] if self.known_bugs and self.verdict is Verdict.AFFECTED else None

    @property
    def resembled(self) -> tuple[Likeness, ...]:
        """The known bugs that trials merely look like."""
        return self.known_bugs[1:] if self.bug else self.known_bugs

    @property
    def seconds(self) -> float | None:
        """The time from the beginning of the case to its end; None if that is not known.

        Cells take turns, so other cells had a part of it.
        """
        return seconds_between(self.began_at, self.ended_at)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, by a run or by a direct test."""

    folder: Path
    command: str
    """The command that made it: `run`, `lab run`, `probe` or `lab probe`."""
    verdict: Verdict
    meaning: str
    cases: tuple[Case, ...]
    result: RunResult | DirectResult
    """The whole result, for an output that has room for more."""
    facts: HostFacts | None = None
    """The host of the last session."""
    seed: int | None = None
    losttick: str = ""
    """The version that ran last."""
    began_at: str = ""
    ended_at: str = ""
    interrupted: str | None = None
    """Why it has not ended; None if it has."""
    went_down: str = ""
    """Where the host went down, in words; empty if it did not, or if that is not known."""
    identity: str = ""
    """The SHA-256 of the journal's first record, which no other run has. It stays when a run is
    resumed, and when its folder is moved."""
    changes: tuple[str, ...] = ()
    """What is new since the run before, in sentences; empty if nobody asked the history."""
    shown_as: str = ""
    """The folder as outputs name it; empty for its path."""

    @property
    def shown_folder(self) -> Path:
        """The folder, to be named to a reader. The files of the run are in `folder`."""
        return Path(self.shown_as) if self.shown_as else self.folder

    @property
    def status(self) -> Status:
        """What became of the whole, in the words that CI systems share."""
        return Status.ERROR if self.cut_off else overall_status(case.status for case in self.cases)

    @property
    def cut_off(self) -> bool:
        """True if it has not come to its end, and no case says so."""
        fine = (Status.PASSED, Status.SKIPPED)
        gravest = overall_status(case.status for case in self.cases)
        return self.interrupted is not None and gravest in fine

    @property
    def seconds(self) -> float | None:
        """The time from the beginning of the run to its end; None if that is not known."""
        return seconds_between(self.began_at, self.ended_at)


def is_time(text: str) -> bool:
    """Return whether a text of a journal is a time as RFC 3339 has it."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return _RFC_3339.fullmatch(text) is not None


def seconds_between(began_at: str, ended_at: str) -> float | None:
    """Return the seconds between two times of a journal; None if one of them is missing."""
    try:
        span = datetime.fromisoformat(ended_at) - datetime.fromisoformat(began_at)
    except (ValueError, TypeError):  # TypeError: only one of them names its zone
        return None
    return max(span.total_seconds(), 0.0)


def read_report(folder: Path) -> Report:
    """Return what a finished or an interrupted run or direct test found.

    Raises:
        NoResultError: there is no journal.
        JournalFormatError: the journal can't be understood, with the line and the reason.
    """
    if is_direct(folder):
        found = _of_direct(folder, read_direct_result(folder))
    else:
        found = _of_run(folder, read_result(folder))
    return replace(found, identity=run_identity(folder))


def run_identity(folder: Path) -> str:
    """Return the SHA-256 of a journal's first record, which no other run has."""
    with open_journal(folder / JOURNAL) as journal:
        return hashlib.sha256(journal.readline(LONGEST_LINE)).hexdigest()


def _of_run(folder: Path, run: RunResult) -> Report:
    in_lab = any(each.lab for each in run.cells)
    return Report(
        folder=folder,
        command="lab run" if in_lab else "run",
        verdict=run.verdict,
        meaning=meaning(run),
        cases=_with_questions(tuple(map(_cell_case, run.cells))),
        result=run,
        facts=run.facts,
        seed=run.seed,
        losttick=run.losttick,
        began_at=run.began_at,
        ended_at=run.ended_at,
        interrupted=run.interrupted,
        went_down=run.went_down,
    )


def _cell_case(result: CellResult) -> Case:
    return Case(
        name=result.cell.id,
        ended=result.ended,
        accepted=result.accepted,
        why=result.why,
        meaning=cell_meaning(result),
        exposure=result.exposure,
        trials=result.counts.trials,
        lost=result.classes[Outcome.LOST],
        outcomes={str(name): count for name, count in result.classes.items()},
        causes={str(name): count for name, count in result.counts.causes.items()},
        rate=result.rate,
        result=result,
        known_bugs=tuple(known_bugs(result)),
        facts=result.counts.facts,
        lab=result.lab,
        expected=_expected(result.expected),
        evidence=tuple(trial.evidence for trial in result.counts.kept if trial.evidence),
        kept=tuple(result.counts.kept),
        began_at=result.counts.began_at,
        ended_at=result.counts.ended_at,
    )


def _with_questions(cases: tuple[Case, ...]) -> tuple[Case, ...]:
    """Return cases that say which of them are mere observations, as the verdict of a lab does."""
    if not any(case.lab and case.lab.untouched for case in cases):
        return cases
    return tuple(
        replace(case, asked=case.lab is None or case.lab.untouched or case.expected is not None)
        for case in cases
    )


def _expected(verdict: str | None) -> Verdict | None:
    return Verdict(verdict) if verdict in set(Verdict) else None


def _of_direct(folder: Path, result: DirectResult) -> Report:
    in_lab = any(host.lab for host in result.hosts)
    telling = next((each for each in result.hosts if each.verdict is result.verdict), None)
    return Report(
        folder=folder,
        command="lab probe" if in_lab else "probe",
        verdict=result.verdict,
        meaning=telling.why if telling else "Nothing was tested.",
        cases=_with_questions(tuple(map(_host_case, result.hosts))),
        result=result,
        facts=next((each.facts for each in result.hosts), None),
        losttick=result.losttick,
        began_at=result.began_at,
        ended_at=result.ended_at,
        interrupted=result.interrupted,
        went_down=result.went_down,
    )


def _host_case(host: HostResult) -> Case:
    trials = sum(each.series.trials for each in host.series)
    lost = sum(each.series.lost for each in host.series)
    return Case(
        name=host.name,
        ended=Ended(host.verdict, host.failed),
        accepted=False,
        why=host.why,
        meaning=host.why,
        exposure=host.exposure,
        trials=trials,
        lost=lost,
        outcomes={},
        causes={},
        rate=None,
        known_bugs=_bug_of(host),
        result=host,
        facts=host.facts,
        lab=host.lab,
        expected=_expected(host.lab.expected if host.lab else None),
    )


def _bug_of(host: HostResult) -> tuple[Likeness, ...]:
    """Return the known bug that makes a tested host `affected`."""
    if host.verdict is not Verdict.AFFECTED:
        return ()
    tested = [each.series for each in host.series]
    bug = NARROW_RACE if read_pattern(tested) is Pattern.NARROW else APICV_BUG
    return (Likeness(bug, sum(series.lost for series in tested), host.exposure),)

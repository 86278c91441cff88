"""Reads the run of a task from its folder, of which nothing is trusted."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orchestrator.errors import InputError, LosttickError, own_fault
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.journal_file import open_journal
from orchestrator.results.direct import is_direct
from orchestrator.results.exit_code import ExitCode, result_exit
from orchestrator.results.history.entry import About, Entry, entry_of
from orchestrator.results.history.packed import unpack
from orchestrator.results.result import read_result
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict

#: Most bytes of a journal's first line by which runs are told apart.
_LONGEST = 1 << 20


class Trouble(StrEnum):
    """The reason why a task has no result."""

    LACKS = "not possible"
    """The fleet file says that the host does not have the kernel."""
    MISSING = "no run"
    UNREADABLE = "unreadable"
    OTHER_KERNEL = "another kernel"
    TWICE = "counted twice"
    """Another task has the same run."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A task that has no result."""

    trouble: Trouble
    why: str

    @property
    def code(self) -> ExitCode:
        """Its exit code: another kernel, or a run that can't be read, is never a verdict."""
        return ExitCode.UNFIT if self.trouble is Trouble.LACKS else ExitCode.HARNESS


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a run: what the table and the answer need of it."""

    id: str
    verdict: Verdict
    trials: int
    lost: int
    unresolved: int
    rule_out: float
    blind: str
    saves: tuple[tuple[int, int], ...]
    """The loads with a known outcome and the losses of each save that has such loads."""


@dataclass(frozen=True, slots=True)
class Run:
    """The run of a task."""

    verdict: Verdict
    code: ExitCode
    machine: str
    """A digest of the machine; empty if it is not known."""
    cpu: str
    kernel: str
    began_at: str
    unfinished: str
    """The reason why it has not ended; empty if it has."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """A run that is to be read."""

    folder: Path
    release: str | None
    """The kernel that must have run; None for any, but one."""
    about: About


def read_run(job: Job) -> tuple[Run, Entry] | Fault:
    """Return the run in a folder, also as the history takes it; or why there is none."""
    try:
        _check_place(job.folder)
        if is_direct(job.folder):
            return Fault(Trouble.UNREADABLE, f"{job.folder} has a direct test, and not a run")
        result = read_result(job.folder)
        if other := _other_kernel(result, job.release):
            return Fault(Trouble.OTHER_KERNEL, other)
        found = entry_of(job.folder, result, job.about)
        return _run(result, found), found
    except _NoRunError as error:
        return Fault(Trouble.MISSING, str(error))
    except LosttickError as error:
        return Fault(Trouble.UNREADABLE, str(error))
    except OSError as error:
        return Fault(Trouble.UNREADABLE, f"reading {job.folder}: {error.strerror}")
    except Exception as error:
        return Fault(Trouble.UNREADABLE, own_fault(f"reading {job.folder}", error))


def identity_of(folder: Path) -> str:
    """Return what tells a run from all others, without reading the run; empty if it has none."""
    try:
        _check_place(folder)
        with open_journal(folder / JOURNAL) as journal:
            line = journal.readline(_LONGEST)
    except (OSError, InputError):
        return ""
    return hashlib.sha256(line).hexdigest() if line else ""


class _NoRunError(InputError):
    """There is no run."""


def _check_place(folder: Path) -> None:
    """Check that a run's folder and journal are what they seem: a link may lead anywhere.

    Raises:
        _NoRunError: there is nothing.
        InputError: a link stands there.
    """
    for each in (folder.parent, folder, folder / JOURNAL):
        if each.is_symlink():
            raise InputError(f"reading {folder}: {each} is a link, and links are not followed")
    if not folder.is_dir():
        raise _NoRunError(f"there is no folder {folder}")
    if not (folder / JOURNAL).exists():
        raise _NoRunError(f"{folder} has no {JOURNAL}: the run did not begin, or was not brought")


def _other_kernel(result: RunResult, release: str | None) -> str:
    """Return which kernel ran instead of the one that was asked for; empty if none did."""
    ran = list(dict.fromkeys(_kernels(result)))
    if release is None:
        return "" if len(ran) == 1 else f"parts of it ran under {' and '.join(ran)}"
    other = [each for each in ran if each != release]
    return f"it ran under {' and '.join(other)}, and not under {release}" if other else ""


def _kernels(result: RunResult) -> Iterator[str]:
    yield result.facts.kernel
    for cell in result.cells:
        if cell.counts.facts is not None and cell.lab is None:
            yield cell.counts.facts.kernel


def _run(result: RunResult, entry: Entry) -> Run:
    return Run(
        verdict=result.verdict,
        code=result_exit(result.ends),
        machine=result.machine,
        cpu=result.facts.cpu,
        kernel=result.facts.kernel,
        began_at=result.began_at,
        unfinished=result.interrupted or "",
        cells=tuple(_cells(entry.cells)),
    )


def _cells(rows: Sequence[dict[str, object]]) -> Iterator[Cell]:
    for row in rows:
        by_save, _ = unpack(row["saves"], row["loads_per_save"])  # type: ignore[arg-type]  # a row
        yield Cell(
            row["cell"], Verdict(row["verdict"]), row["trials"], row["lost"], row["unresolved"],  # type: ignore[arg-type]
            float(row["rule_out"]), row["blind"],  # type: ignore[arg-type]
            tuple((n, lost) for n, lost in zip(by_save.loads, by_save.lost, strict=True) if n),
        )  # fmt: skip

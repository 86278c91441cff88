"""The table of a fleet: hosts by kernels, with the verdict of each run."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.fleet.collect import Brought, Collected
from orchestrator.fleet.read_run import Trouble
from orchestrator.results.exit_code import GRAVITY, ExitCode
from orchestrator.verdict.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Entry:
    """A task in the table."""

    words: str
    verdict: Verdict | None
    """None if there is no run that counts."""
    brought: Brought


@dataclass(frozen=True, slots=True)
class Row:
    """A host of the table."""

    host: str
    entries: Sequence[Entry | None]
    """For each kernel; None if the fleet has no such task."""

    @property
    def code(self) -> ExitCode:
        """The gravest exit code of its tasks, of those that could be run."""
        codes = {entry.brought.code for entry in self.entries if entry and not _lacks(entry)}
        return next((code for code in GRAVITY if code in codes), ExitCode.CLEAN)


def rows(found: Collected) -> list[Row]:
    """Return the table, in the order of the fleet file."""
    kernels = found.answer.kernels
    by_host: dict[str, dict[str, Brought]] = {}
    for each in found.brought:
        by_host.setdefault(each.task.host, {})[each.task.kernel] = each
    return [
        Row(host, [_entry(tasks[name]) if name in tasks else None for name in kernels])
        for host, tasks in by_host.items()
    ]


def _entry(brought: Brought) -> Entry:
    if brought.fault is not None:
        return Entry(str(brought.fault.trouble), None, brought)
    run = brought.run
    assert run is not None
    told = sum(cell.verdict is run.verdict for cell in run.cells)
    words = f"{run.verdict}"
    if len(run.cells) > 1 and told < len(run.cells):
        words += f" in {told} of {len(run.cells)}"
    lost, trials = sum(cell.lost for cell in run.cells), sum(cell.trials for cell in run.cells)
    if lost:
        words += f", {lost:,} of {trials:,} lost"
    return Entry(words + (", unfinished" if run.unfinished else ""), run.verdict, brought)


def _lacks(entry: Entry) -> bool:
    fault = entry.brought.fault
    return fault is not None and fault.trouble is Trouble.LACKS


def gravest_first(found: Collected) -> list[Brought]:
    """Return the tasks that have a run, those with the gravest verdicts first."""
    ran = [each for each in found.brought if each.run and not each.fault]
    return sorted(ran, key=lambda each: GRAVITY.index(each.code))

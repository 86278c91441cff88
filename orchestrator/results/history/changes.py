"""New, still, fixed: the findings of a run beside those of the run before."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.findings.outcome import Outcome
from orchestrator.results.comparison.compare import Answer, compare
from orchestrator.results.history.store import CellRow, History, Run
from orchestrator.verdict.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Changes:
    """The findings of a run beside those of an earlier one. Each is a cell and what was found."""

    run: Run
    since: Run | None
    """The earlier run; None if there is none, so that every finding is new."""
    new: tuple[tuple[str, str], ...]
    still: tuple[tuple[str, str], ...]
    fixed: tuple[tuple[str, str], ...]
    """Losses that the comparison of both runs shows to be rarer, in a cell without a finding."""
    not_seen: tuple[tuple[str, str], ...]
    """Findings of the earlier run that were not seen again; the loads do not show that they are
    fixed."""
    overlapping: tuple[Run, ...] = ()
    """Runs on the same host at the same time."""


def changes(history: History, run: Run, since: Run | None = None) -> Changes:
    """Return what is new, still there and fixed in a run.

    Args:
        history: which has the run.
        run: the later run.
        since: the earlier run; None for the run before.
    """
    before = since or history.before(run)
    now = history.cells(run)
    then = history.cells(before) if before else []
    found, known = _found(now), _found(then)
    gone = [each for each in known if each not in found]
    fixed = _fixed(history, before, run, now, gone) if before and gone else []
    return Changes(
        run,
        before,
        new=tuple(each for each in found if each not in known),
        still=tuple(each for each in found if each in known),
        fixed=tuple(fixed),
        not_seen=tuple(each for each in gone if each not in fixed),
        overlapping=tuple(history.overlapping(run)),
    )


def _found(cells: Sequence[CellRow]) -> list[tuple[str, str]]:
    return [(cell.cell, cell.finding) for cell in cells if cell.finding]


def _fixed(
    history: History, before: Run, run: Run, now: Sequence[CellRow], gone: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return the findings of losses that are rarer now, by the test of `losttick compare`."""
    compared = compare([history.arm(before), history.arm(run)])
    better = {cell.second.id for cell in compared.cells if cell.answer is Answer.BETTER}
    clean = {cell.cell for cell in now if cell.verdict == Verdict.CLEAN}
    of_losses = ("known bug", str(Outcome.LOST))
    return [each for each in gone if each[0] in better & clean and each[1] in of_losses]


def sentences(found: Changes) -> list[str]:
    """Return the changes in words, for a person."""
    since = f"since {found.since.name}" if found.since else "and no run before to compare with"
    groups = {
        "New": found.new,
        "Still": found.still,
        "Fixed": found.fixed,
        "Not seen again, which does not show that it is fixed": found.not_seen,
    }
    said = [
        f"{name}: {'; '.join(f'{what} in {cell}' for cell, what in each)}."
        for name, each in groups.items()
        if each
    ]
    numbers = f"{len(found.new)} new, {len(found.still)} still, {len(found.fixed)} fixed"
    head = f"{numbers} {since}." if said else f"Nothing new {since}."
    said += [
        f"It ran on this host at the same time as {other.name}; they may disturb each other."
        for other in found.overlapping
    ]
    return [head, *said]

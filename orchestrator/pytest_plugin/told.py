"""The result of a run, in the words of a failed assertion, a report's section and properties."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from orchestrator.process.own_command import own_command
from orchestrator.results.outputs.numbers import identity, numbers
from orchestrator.results.printable import one_line, printable
from orchestrator.results.report import Case, Report

#: Evidence folders of a cell that are named. A run may have hundreds.
_MOST_EVIDENCE = 3


def counts(case: Case) -> str:
    """Return the verdict and the counts of a cell, on one line."""
    told = numbers(case)
    seen = ", ".join(f"{name} {count}" for name, count in sorted(case.outcomes.items()))
    causes = ", ".join(f"{name} {count}" for name, count in sorted(case.causes.items()))
    parts = [
        str(case.verdict),
        f"{case.lost} of {case.trials} loads lost",
        f"loss rate {told.get('loss_rate', '-')}",
        f"first tick {told.get('first_tick', '-')}",
        f"outcomes: {seen}" if seen else "",
        f"causes: {causes}" if causes else "",
        f"controls {told.get('controls', '-')}",
        f"exposure {told['exposure']}",
    ]
    return one_line("; ".join(part for part in parts if part))


def words(report: Report) -> str:
    """Return the verdict's sentence, the counts of each cell, and where the evidence is."""
    return printable("\n".join(_lines(report)))


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.verdict}: {one_line(report.meaning)}"
    for case in report.cases:
        yield f"{one_line(case.name)}: {counts(case)}"
        if case.verdict is not report.verdict:
            yield f"  {one_line(case.why)}"
        for name in case.evidence[:_MOST_EVIDENCE]:
            yield f"  evidence: {one_line(str(report.folder / name))}"
        if (more := len(case.evidence) - _MOST_EVIDENCE) > 0:
            yield f"  and {more} more in {one_line(str(report.folder / 'evidence'))}"
    folder = shlex.quote(one_line(str(report.folder)))
    yield f"The journal is in {folder}. `{own_command()} explain {folder}` says what to do."


def section(report: Report, notes: list[str]) -> str:
    """Return what a report says of a run: the counts, and what was noted while it went on."""
    lines = [f"{one_line(case.name)}: {counts(case)}" for case in report.cases]
    return "\n".join([*lines, *map(one_line, notes)]) + "\n"


def properties(report: Report, test: str) -> Iterator[tuple[str, str]]:
    """Yield the identity of the host, and the counts of each cell, by names that stay.

    Args:
        report: of the run.
        test: the test's name, which is in the names of the counts.
    """
    for name, text in identity(report).items():
        if name not in ("command", "seed"):
            yield f"losttick.{'version' if name == 'losttick' else one_line(name)}", one_line(text)
    for case in report.cases:
        seed = "" if report.seed is None else f"; seed {report.seed}"
        yield one_line(f"losttick {test} {case.name}"), f"{counts(case)}{seed}"


def kept_in(folder: Path) -> str:
    """Return where the artefacts of a run that gave no result are."""
    return f"What was written until then is in {one_line(str(folder))}."

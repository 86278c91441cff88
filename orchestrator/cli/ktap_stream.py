"""KTAP while a run goes on: the line of each cell is printed when the cell ends."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from orchestrator.campaign.events import Progress
from orchestrator.errors import LosttickError, UnfitError
from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.cell import Cell
from orchestrator.results.outputs.ktap import diagnostic, opening, result
from orchestrator.results.status import Status, overall_status, status
from orchestrator.verdict.verdict import Ended, Verdict

_NAME = "losttick run"

#: Diagnoses of a cell that are printed. The journal has all of them.
_SHOWN_DIAGNOSES = 3


class KtapStream:
    """Prints what `losttick report --ktap` would write later, and passes each step on."""

    def __init__(self, write: Callable[[bytes], None], then: Progress) -> None:
        self._write = write
        self._then = then
        self._open: list[str] = []
        """The ids of the cells that have no result yet, in the order of the plan."""
        self._ended: list[Status] = []
        self._outcomes: dict[str, Counter[Outcome]] = {}
        self._diagnoses: Counter[str] = Counter()
        self._print(opening(1))

    def _print(self, lines: Iterable[str]) -> None:
        self._write("".join(f"{line}\n" for line in lines).encode())

    def _say(self, text: str) -> None:
        self._print([diagnostic(text, 1 if self._open else 0)])

    def run_begins(self, cells: Sequence[Cell], planned: int) -> None:
        """Print the number of cells."""
        self._open = [cell.id for cell in cells]
        self._print(opening(len(cells), 1, _NAME))
        self._then.run_begins(cells, planned)

    def noted(self, text: str) -> None:
        """Print a note for a person."""
        self._say(f"note: {text}")
        self._then.noted(text)

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Pass it on."""
        self._then.cell_begins(cell, planned)

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        """Print a cell's verdict and its result line."""
        self._say(f"verdict: {verdict}: {why}")
        if outcomes := self._outcomes.pop(cell.id, None):
            self._say(
                "outcomes of this session: "
                + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
            )
        self._end(cell.id, status(Ended(verdict)), why)
        self._then.cell_ends(cell, verdict, why)

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Print whether a control was seen."""
        self._say(f"{cell.id}: the injected loss of a control was {'' if seen else 'NOT '}seen")
        self._then.control_seen(cell, seen)

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Count the outcome."""
        self._outcomes.setdefault(cell.id, Counter())[outcome] += 1
        self._then.attempt_ends(cell, outcome, done, planned)

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Print the first few diagnoses of a cell."""
        self._diagnoses[cell.id] += 1
        if self._diagnoses[cell.id] <= _SHOWN_DIAGNOSES:
            self._say(f"{cell.id}: {diagnosis.cause}: {diagnosis.sentence}")
        self._then.diagnosed(cell, diagnosis)

    def _end(self, name: str, became: Status, why: str) -> None:
        self._ended.append(became)
        self._print([result(len(self._ended), name, became, why, 1)])
        self._open.remove(name)

    def end(self, error: BaseException | None = None) -> None:
        """Print the results of the cells that have none, and that of the run.

        Args:
            error: what ended the run early.
        """
        why = _words(error) if error else "nothing could be tested"
        for name in list(self._open):
            self._end(name, Status.ERROR, why)
        became = overall_status(self._ended)
        if error and became in (Status.PASSED, Status.SKIPPED):
            became = Status.SKIPPED if isinstance(error, UnfitError) else Status.ERROR
        elif became is Status.ERROR and not error:
            why = "no statement about a cell is possible"
        self._print([result(1, _NAME, became, why)])


def _words(error: BaseException) -> str:
    if isinstance(error, LosttickError):
        return str(error)
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return "interrupted"
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def ktap_to(write: Callable[[bytes], None], then: Progress) -> Iterator[Progress]:
    """Give a progress that also prints KTAP, whole even if the run ends early.

    Args:
        write: prints some lines at once.
        then: the progress that hears of each step after it was printed.
    """
    stream = KtapStream(write, then)
    try:
        yield stream
    except BaseException as error:
        stream.end(error)
        raise
    stream.end()

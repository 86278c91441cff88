"""What a bisection knows: its records, folded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from orchestrator.bisect.belief import Counts, Seen
from orchestrator.bisect.candidate import Candidate, History, HistoryError
from orchestrator.bisect.records import (
    AskedRecord,
    Begun,
    BootRecord,
    Record,
    SameRecord,
    UntestableRecord,
)
from orchestrator.bisect.rules import Rules
from orchestrator.bisect.steps import Boot
from orchestrator.errors import InputError


class FoldError(InputError):
    """The records of a log don't belong together."""


@dataclass(slots=True)
class State:
    """A bisection so far."""

    history: History
    rules: Rules
    settings: dict[str, str]
    records: list[BootRecord | UntestableRecord | SameRecord] = field(default_factory=list)
    boots: list[Boot] = field(default_factory=list)
    seconds: float = 0.0
    """Time that all tests took."""
    _kernels: dict[str, list[int]] = field(default_factory=dict)
    _untestable: dict[int, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, begun: Begun) -> "State":
        """Return the state before the first test.

        Raises:
            HistoryError: the candidates are no history.
        """
        candidates = tuple(Candidate(*each) for each in begun.candidates)
        rules = Rules(begun.find, begun.min_rate, begun.confidence, begun.parent_rate)
        return cls(History(candidates, begun.parents), rules, dict(begun.settings))

    def add(self, record: Record) -> None:
        """Take over one more record.

        Raises:
            FoldError: it does not belong to this bisection.
        """
        if isinstance(record, Begun):
            raise FoldError("it begins a second time")
        if isinstance(record, AskedRecord):
            self.rules = replace(self.rules, parent_rate=record.parent_rate)
            return
        if record.candidate >= len(self.history):
            raise FoldError(f"there is no candidate {record.candidate}")
        self.records.append(record)
        self.seconds += record.seconds
        match record:
            case UntestableRecord():
                self._untestable[record.candidate] = self._untestable.get(record.candidate, 0) + 1
            case SameRecord():
                if record.signature not in self._kernels:
                    raise FoldError(f"no kernel was tested with the signature {record.signature!r}")
                self._join(record.candidate, record.signature)
            case BootRecord():
                if record.losses > record.loads:
                    raise FoldError("more losses than loads")
                self._join(record.candidate, record.signature)
                self.boots.append(Boot(record.candidate, record.loads, record.losses))

    def tries(self, candidate: int) -> int:
        """Return how often a candidate could not be tested."""
        return self._untestable.get(candidate, 0)

    def is_known(self, signature: str) -> bool:
        """Return whether a kernel with this signature was tested."""
        return signature in self._kernels

    def kernels(self) -> Iterator[tuple[str, str]]:
        """Yield name and signature of each candidate that was tested."""
        for record in self.records:
            if isinstance(record, BootRecord):
                yield self.history.candidates[record.candidate].name, record.signature

    def seen(self) -> Seen:
        """Return all that the tests have shown so far."""
        same = [group for group in self._kernels.values() if len(group) > 1]
        found = Seen({}, same, frozenset())
        counts: dict[int, Counts] = {}
        for boot in self.boots:
            kernel = found.kernel_of(boot.candidate)
            counts[kernel] = counts.get(kernel, Counts()) + Counts(boot.loads, boot.losses)
        untestable = frozenset(c for c in self._untestable if found.kernel_of(c) not in counts)
        return Seen(counts, same, untestable)

    def _join(self, candidate: int, signature: str) -> None:
        if not signature:
            return
        group = self._kernels.setdefault(signature, [])
        if candidate not in group:
            group.append(candidate)


def fold(records: Iterable[Record]) -> State:
    """Return the state after all records of a log.

    Raises:
        FoldError: they don't belong together, with the number of the line.
    """
    state: State | None = None
    for number, record in enumerate(records, start=1):
        try:
            if state is None:
                if not isinstance(record, Begun):
                    raise FoldError("a log begins with the question")
                state = State.begin(record)
            else:
                state.add(record)
        except (FoldError, HistoryError) as error:
            raise FoldError(f"reading the log of a bisection: line {number}: {error}") from error
    if state is None:
        raise FoldError("reading the log of a bisection: it has no whole line")
    return state

"""Candidates of a bisection, and the history that orders them."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.errors import InputError

#: Candidates that a history may have: their matrix takes 540 MB then.
MOST_CANDIDATES = 1 << 16


class HistoryError(InputError):
    """Candidates and their parents do not form a history between two ends."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kernel or QEMU that may be the first one to behave differently."""

    name: str
    """Unique name: a commit's full hash, a kernel as `lab run --kernel` names it, or a path."""
    summary: str = ""
    """Subject of the commit. Other people wrote it: it is not safe to print as it is."""
    commit: str | None = None
    """Full hash of the commit in the user's tree; None for a member of a list."""


@dataclass(frozen=True, slots=True)
class History:
    """Candidates, each after all of its parents.

    The first candidate is the older end, the last one the newer end. A parent that is not in
    the history is an ancestor of the older end, and behaves as the older end does.
    """

    candidates: tuple[Candidate, ...]
    parents: tuple[tuple[int, ...], ...]
    """The indices of each candidate's parents within the history."""

    def __post_init__(self) -> None:
        _check(self.candidates, self.parents)

    def __len__(self) -> int:
        return len(self.candidates)


def line_of(candidates: Sequence[Candidate]) -> History:
    """Return the history of a list, oldest first: each candidate is the next one's parent.

    Raises:
        HistoryError: there are fewer than two candidates, or a name occurs twice.
    """
    parents = ((), *((index,) for index in range(len(candidates) - 1)))
    return History(tuple(candidates), parents[: len(candidates)])


def _check(candidates: Sequence[Candidate], parents: Sequence[Sequence[int]]) -> None:
    """Check what `History` promises.

    Raises:
        HistoryError: it does not hold.
    """
    if len(candidates) < 2:
        raise HistoryError("bisecting: two different candidates are needed at least")
    if len(candidates) > MOST_CANDIDATES:
        raise HistoryError(
            f"bisecting: {len(candidates):,} candidates are too many; {MOST_CANDIDATES:,} are not. "
            "Name ends that are nearer to each other, or only commits of some files with --path"
        )
    if len(parents) != len(candidates):
        raise HistoryError("bisecting: not every candidate has its parents")
    seen: set[str] = set()
    for each in candidates:
        if each.name in seen:
            raise HistoryError(f"bisecting: {each.name} is named twice")
        seen.add(each.name)
    for index, above in enumerate(parents):
        if any(not 0 <= parent < index for parent in above):
            raise HistoryError(
                f"bisecting: {candidates[index].name} does not stand after its parents"
            )

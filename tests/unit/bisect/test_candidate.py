"""Histories: what they refuse."""

import pytest

from orchestrator.bisect.candidate import MOST_CANDIDATES, Candidate, History, HistoryError, line_of

A, B, C = (Candidate(name) for name in "abc")


def test_each_of_a_list_has_the_one_before_for_its_parent() -> None:
    assert line_of([A, B, C]).parents == ((), (0,), (1,))


@pytest.mark.parametrize(
    ("candidates", "parents", "words"),
    [
        ((A,), ((),), "two different"),
        ((A, B), ((),), "has its parents"),
        ((A, B, A), ((), (0,), (1,)), "named twice"),
        ((A, B), ((1,), ()), "after its parents"),
        ((A, B), ((), (1,)), "after its parents"),
        ((A, B), ((), (-1,)), "after its parents"),
    ],
)
def test_what_is_no_history_is_refused(
    candidates: tuple[Candidate, ...], parents: tuple[tuple[int, ...], ...], words: str
) -> None:
    with pytest.raises(HistoryError, match=words):
        History(candidates, parents)


def test_a_history_that_no_matrix_holds_is_refused() -> None:
    with pytest.raises(HistoryError, match=r"65,537 candidates are too many.* --path"):
        line_of([A] * (MOST_CANDIDATES + 1))

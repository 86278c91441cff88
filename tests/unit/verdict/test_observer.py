"""How many more loads a small cell runs beside a few stalls of the host."""

import pytest

from orchestrator.verdict.observer import MAX_UNKNOWN, MOST_OF_SMALL_CELL, loads_beside_unknown


@pytest.mark.parametrize(
    ("attempts", "unknown", "planned", "more"),
    [
        (299, 0, 299, 0),
        (20, 1, 19, 0),
        (13, 1, 12, 7),
        (32, 2, 30, 8),
        (319, 20, 299, 81),
        (5, 3, 2, 55),
        (6, 4, 2, 0),  # 80 would be needed, and it may have 60
        (329, 30, 299, 0),  # 600 would be needed, and it may have 598
    ],
)
def test_so_many_that_few_attempts_are_unknown(
    attempts: int, unknown: int, planned: int, more: int
) -> None:
    assert loads_beside_unknown(attempts, unknown, planned) == more
    if more:
        assert unknown <= MAX_UNKNOWN * (attempts + more) < unknown + MAX_UNKNOWN
        assert attempts + more <= max(2 * planned, MOST_OF_SMALL_CELL)

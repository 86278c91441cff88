"""Holm's correction."""

import pytest

from orchestrator.stats.holm import holm


def test_an_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_no_test_and_one_test() -> None:
    assert holm([]) == []
    assert holm([0.2]) == [0.2]


def test_never_above_one() -> None:
    assert holm([0.9, 0.8]) == [1.0, 1.0]

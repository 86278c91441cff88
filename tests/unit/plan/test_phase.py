import random

import pytest

from orchestrator.plan.phase import EXPIRED, RANDOM, Phase


@pytest.mark.parametrize(
    ("given", "phase"),
    [
        ("random", RANDOM), ("expired", EXPIRED), (0.25, Phase(0.25, 0.25)), (1, Phase(1, 1)),
        ("0.25", Phase(0.25, 0.25)), ("0.1-0.9", Phase(0.1, 0.9)), ("0-1", Phase(0, 1)),
    ],
)  # fmt: skip
def test_phases_are_read_and_named_alike(given: object, phase: Phase) -> None:
    assert Phase.parse(given) == phase == Phase.parse(str(phase))


@pytest.mark.parametrize("given", [-0.1, 1.1, "nan", "0.9-0.1", "late", True, "", None, "0.5-"])
def test_what_is_no_phase(given: object) -> None:
    with pytest.raises(ValueError, match="a phase is a number"):
        Phase.parse(given)


def test_draws_are_where_they_were_asked_for() -> None:
    rng = random.Random(1)
    for phase in (RANDOM, EXPIRED, Phase(0.1, 0.9), Phase(0.25, 0.25), Phase(0.0, 0.0)):
        low, high = phase.within
        assert all(low <= phase.draw(rng) <= high for _ in range(100))
        assert 0 <= low < high <= 1
    assert RANDOM.within == (pytest.approx(0.35), pytest.approx(0.65))
    assert RANDOM.wide == (0.1, 0.9)
    assert [each.wide for each in (EXPIRED, Phase(0.4, 0.5), Phase(0.5, 0.5))] == [None] * 3

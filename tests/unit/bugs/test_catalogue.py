import pytest

from orchestrator.bugs.catalogue import APICV_BUG, CATALOGUE
from orchestrator.timers.registry import TIMERS


def test_every_shipped_timer_is_struck_or_spared_for_a_reason() -> None:
    for bug in CATALOGUE:
        assert {bug.timer, *bug.spared} == set(TIMERS.names)


@pytest.mark.parametrize(
    ("timer", "ticks_after_load", "shows"),
    [("one-shot", 0, True), ("one-shot", 1, False), ("periodic", 0, False)],
)
def test_the_bug_loses_the_first_tick_of_a_one_shot_timer(
    timer: str, ticks_after_load: int, shows: bool
) -> None:
    assert APICV_BUG.shows_in(timer, ticks_after_load) is shows
